import type { Log } from '../../base/index.js';
import { indexPackages } from './package-index.js';
import { pipPackages } from './pip.js';
import type { InstallRecipe } from './platform.js';
import type { Tools } from './tools.js';
import type { Packages } from './wheel-source.js';

/** pip where there is one, because it honours the user's mirrors, proxies and certificates; else https. */
export async function openPackages(recipe: InstallRecipe, tools: Tools, log: Log): Promise<Packages> {
  return (await pipPackages(recipe, tools)) ?? indexPackages(recipe, tools, log);
}

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { installedEngines } from './installed.js';
import { digestOf } from './kernel-sources.js';

const require = createRequire(import.meta.url);

let found: string | undefined | null = null;

/**
 * The addon of native products that came with an installed engine: a path; undefined where there is none, where it was compiled
 * from other sources, and where this processor lacks its vectors. Loads no TensorFlow.
 */
export function installedProducts(): string | undefined {
  if (found === null)
    found = installedEngines()
      .map(ofEngine)
      .find(path => path !== undefined);
  return found;
}

function ofEngine({ folder, products }: ReturnType<typeof installedEngines>[number]): string | undefined {
  if (products?.sources !== digestOf('products')) return undefined;
  const path = join(folder, products.file);
  try {
    return (require(path) as { supported: boolean }).supported ? path : undefined;
  } catch {
    return undefined;
  }
}

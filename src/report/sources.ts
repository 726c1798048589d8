import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { distinct, readTable } from './table.js';

/** Folders above a table in which a study's summary is looked for: `diffusion/mae/loss.csv` is two below. */
const LEVELS = 3;

/**
 * The latent spaces of the study in whose folder a table is, in the study's order, which is that of their colours in its
 * report. None for a table outside of a study.
 */
export async function studySources(path: string): Promise<string[]> {
  let folder = dirname(resolve(path));
  for (let level = 0; level < LEVELS; level++, folder = dirname(folder)) {
    const summary = join(folder, 'summary.csv');
    if (!existsSync(join(folder, 'steps.json')) || !existsSync(summary)) continue;
    return distinct(await readTable(summary), 'source').map(String);
  }
  return [];
}

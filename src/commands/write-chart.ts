import { extname } from 'node:path';
import { UserError } from '../base/index.js';
import type { ChartChoice, Table } from '../report/index.js';
import type { Context } from './command.js';

/** The files that `--option FILE.svg,FILE.png` names. @throws UserError for any other extension. */
export function chartFiles(option: string, value: string | undefined): string[] {
  const files = value?.split(',') ?? [];
  for (const path of files) {
    if (!['.svg', '.png'].includes(extname(path))) throw new UserError(`${option} ${path}: must end in .svg or .png`);
  }
  return files;
}

/** Draws a table into SVG and PNG files; `scale` pixels per unit of a PNG. Of several ranks only the first draws. */
export async function writeChart(
  { log, communicator }: Context,
  table: Table,
  choice: ChartChoice,
  { files, force, scale }: { files: string[]; force: boolean; scale?: number | undefined },
): Promise<void> {
  if (files.length === 0 || communicator.rank > 0) return;
  const { writeFileAtomic } = await import('../io/index.js');
  const { chartOf, leftOut, rasterise, renderSvg } = await import('../report/index.js');
  const svg = await renderSvg(chartOf(table, choice));
  for (const path of files) {
    await writeFileAtomic(path, extname(path) === '.png' ? rasterise(svg, scale) : svg, { force });
    log.wrote(path);
  }
  const missing = leftOut(table, choice);
  if (missing !== undefined) log.warn(missing);
}

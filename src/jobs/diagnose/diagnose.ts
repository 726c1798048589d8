import { UserError, type Log, unlabelled } from '../../base/index.js';
import type { MeasureGroup } from '../../diagnose/names.js';
import { alignment } from './groups/alignment.js';
import { classes } from './groups/classes.js';
import { diffusability } from './groups/diffusability/index.js';
import { dimension } from './groups/dimension.js';
import { isotropy } from './groups/isotropy.js';
import { spectrum } from './groups/spectrum.js';
import { tokens } from './groups/tokens.js';
import { uniformity } from './groups/uniformity.js';
import {
  taskOf,
  type DiagnoseRow,
  type DiagnoseSettings,
  type DiagnoseSource,
  type Measured,
  type Task,
} from './task.js';

const GROUPS: Record<MeasureGroup, (task: Task) => Promise<Measured[]>> = {
  spectrum,
  dimension,
  isotropy,
  tokens,
  classes,
  alignment,
  uniformity,
  diffusability,
};

/** One latent space, measured: a row per measure. */
export async function diagnoseLatents(
  source: DiagnoseSource,
  settings: DiagnoseSettings,
  log: Log,
): Promise<DiagnoseRow[]> {
  checkRows(source, settings);
  const task = taskOf(source, settings, log);
  const rows: DiagnoseRow[] = [];
  for (const group of settings.groups) {
    const found = await GROUPS[group](task);
    for (const { setting = '', ...measured } of found) rows.push({ source: source.name, group, setting, ...measured });
    if (found.length > 0) log.note(`${source.name}: ${group} measured`);
  }
  return rows;
}

const FEWEST = 20;

function checkRows({ name, rows }: DiagnoseSource, { features, groups, neighbours }: DiagnoseSettings): void {
  const fewest = Math.max(FEWEST, neighbours + 2);
  if (rows.rows < fewest) throw new UserError(`${name}: has ${rows.rows} rows; measures of its shape need ${fewest}`);
  if (features && features.rows !== rows.rows)
    throw new UserError(
      `--features ${features.name}: has ${features.rows} rows, ${name} ${rows.rows}; both must be of the same images in the same order`,
    );
  const only = groups.length === 1 ? groups[0] : undefined;
  if (only === 'classes' && !rows.labels) throw unlabelled(name, '--measure classes');
  if (only === 'alignment' && !features)
    throw new UserError('--measure alignment needs --features of the same images to compare the latents with');
}

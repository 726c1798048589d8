import { velocityVariance, type LatentRows, type VelocityVariance } from '../../../../diagnose/diffusability/index.js';
import { ofRank, shareOf } from '../../../../distributed/index.js';
import type { Measured, Task } from '../../task.js';

/** VIV and what it is to be read with. */
export async function ofVelocities(
  { rows: source, name, statistics, ranks: { communicator }, log }: Task,
  latents: LatentRows,
): Promise<Measured[]> {
  const { labels } = source;
  if (!labels) {
    log.warn(`${name}: has no labels, so VIV and LNC are left out`);
    return [];
  }
  const { start, end } = shareOf(communicator, new Set(labels).size);
  const progress = log.progress(`${name}: variance of velocities${ofRank(communicator)}`, end - start, 'classes');
  const found = await velocityVariance(latents, await statistics(), labels, {
    communicator,
    onClass: done => progress.update(done),
  });
  progress.stop();
  warnOfFewRows(name, found, latents, log);
  if (found.rows.length === 0) return [];
  const alone = found.rows.length + found.leftOut === 1;
  if (alone)
    log.warn(`${name}: all rows are of one class: VIV is that without a class, and the within-class share is left out`);
  const rows = found.rows.reduce((sum, count) => sum + count, 0);
  const [least, most] = [Math.min(...found.rows), Math.max(...found.rows)];
  const setting = `classes=${found.rows.length} rows=${least === most ? least : `${least}-${most}`}`;
  const dims = latents.rows.width;
  const withinShare = alone ? [] : [{ measure: 'within_class_share', value: found.withinShare, setting, rows }];
  return [
    { measure: 'viv', value: found.published, setting, rows },
    { measure: 'viv_all_dims', value: found.fair, setting, rows },
    {
      measure: 'viv_size_corrected',
      value: found.published * Math.sqrt(dims),
      setting: `${setting} dims=${dims}`,
      rows,
    },
    ...withinShare,
  ];
}

function warnOfFewRows(name: string, { rows, leftOut }: VelocityVariance, latents: LatentRows, log: Task['log']): void {
  if (leftOut > 0)
    log.warn(
      `${name}: ${leftOut} of ${leftOut + rows.length} classes have fewer than 4 rows and are left out of VIV` +
        (rows.length === 0 ? ', which leaves none' : ''),
    );
  const { tokens, channels } = latents;
  const needed = Math.ceil(Math.max(tokens / channels, channels / tokens));
  const few = rows.filter(count => count < needed).length;
  if (few > 0)
    log.warn(
      `${name}: ${few} of ${rows.length} classes have fewer than ${needed} rows (the smallest ${Math.min(...rows)}), too few to tell ` +
        `all eigenvalues of ${tokens} tokens × ${channels} channels; that inflates viv, compare viv_all_dims`,
    );
}

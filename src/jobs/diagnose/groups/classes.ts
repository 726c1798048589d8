import { inPhase, UserError } from '../../../base/index.js';
import { calinskiHarabasz, classCentres, daviesBouldin, fisherRatio, silhouette } from '../../../diagnose/index.js';
import { presentClasses } from '../../../io/index.js';
import { randomRows } from '../../../rows/index.js';
import type { Measured, Task } from '../task.js';

/** How far classes stand apart. */
export async function classes({
  name,
  rows: source,
  sample: draw,
  settings: { groups, sample: most, seed },
  ranks: { communicator },
  log,
}: Task): Promise<Measured[]> {
  if (!source.labels) {
    log.warn(`${name}: has no labels, so measures of its classes are skipped`);
    return [];
  }
  const drawn = randomRows(source.rows, most, seed);
  const { labels, present } = presentClasses(drawn.map(row => source.labels![row]));
  const classes = present.length;
  if (classes < 2) {
    if (groups.length === 1)
      throw new UserError(`${name}: all rows have the same label; --measure classes has nothing to tell apart`);
    log.warn(`${name}: all rows have the same label, so measures of its classes are skipped`);
    return [];
  }
  const sample = { ...(await draw()), labels, classes };
  const { rows } = sample;
  const centres = classCentres(sample);
  const { ratio, shrinkage } = await fisherRatio(sample, centres, communicator);
  const phase = { label: `${name}: silhouette`, total: rows, unit: 'rows' };
  const silhouettes = await inPhase(log, phase, () => silhouette(sample, centres, communicator));
  return [
    { measure: 'fisher_ratio', value: ratio, setting: `shrinkage=${shrinkage}`, rows },
    { measure: 'silhouette', value: silhouettes, rows },
    { measure: 'davies_bouldin', value: await daviesBouldin(sample, centres, communicator), rows },
    { measure: 'calinski_harabasz', value: calinskiHarabasz(sample, centres), rows },
  ];
}

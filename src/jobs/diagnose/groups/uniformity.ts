import { byFirst } from '../../../distributed/index.js';
import { uniformity as unevenness } from '../../../diagnose/index.js';
import { tokenPlane } from '../token-plane.js';
import type { Measured, Task } from '../task.js';

/** How evenly tokens are spread over a t-SNE plane, as LightningDiT measures it. */
export async function uniformity(task: Task): Promise<Measured[]> {
  const plane = await tokenPlane(task, await task.moments(), task.settings);
  return await byFirst(task.ranks.communicator, async () => unevennessOf(await plane()));
}

function unevennessOf(points: Float32Array): Measured[] {
  const rows = points.length / 2;
  const { densityStd, densityCv, normalisedEntropy, gini } = unevenness(points);
  const setting = 't-SNE perplexity=30';
  return [
    { measure: 'density_std', value: densityStd, setting, rows },
    { measure: 'density_cv', value: densityCv, setting, rows },
    { measure: 'density_entropy', value: normalisedEntropy, setting, rows },
    { measure: 'density_gini', value: gini, setting, rows },
  ];
}

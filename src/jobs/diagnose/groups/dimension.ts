import { inPhase } from '../../../base/index.js';
import { mleDimension, twoNn } from '../../../diagnose/index.js';
import { nearestNeighbours } from '../../../neighbours/index.js';
import type { Measured, Task } from '../task.js';

/** Intrinsic dimension, from the distances to the nearest rows. */
export async function dimension({
  name,
  sample: draw,
  settings: { neighbours },
  ranks: { communicator },
  log,
}: Task): Promise<Measured[]> {
  const { rows, width, data } = await draw();
  const phase = { label: `${name}: ${neighbours} nearest neighbours`, total: rows, unit: 'rows' };
  const distances = await inPhase(log, phase, () => nearestNeighbours(data, rows, width, neighbours, communicator));
  return [
    { measure: 'twonn', value: twoNn(distances), rows },
    { measure: 'mle_dimension', value: mleDimension(distances), setting: `k=${neighbours}`, rows },
  ];
}

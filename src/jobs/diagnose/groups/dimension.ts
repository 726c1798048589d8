import { mleDimension, twoNn } from '../../../diagnose/index.js';
import { nearestNeighbours } from '../../../neighbours/index.js';
import type { Measured, Task } from '../task.js';

/** Intrinsic dimension, from the distances to the nearest rows. */
export async function dimension({ sample: draw, settings: { neighbours } }: Task): Promise<Measured[]> {
  const { rows, width, data } = await draw();
  const distances = await nearestNeighbours(data, rows, width, neighbours);
  return [
    { measure: 'twonn', value: twoNn(distances), rows },
    { measure: 'mle_dimension', value: mleDimension(distances), setting: `k=${neighbours}`, rows },
  ];
}

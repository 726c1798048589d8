import { alone, type Communicator } from '../../distributed/index.js';
import { tf, type Tensor2D } from '../../engine/index.js';
import { mostSimilarAmong, nearestNeighbours, unitRows } from '../../neighbours/index.js';
import type { RowSample } from '../rows.js';

/** How far two images' mean tokens are apart: by the cosine about the mean of all of them, or in Euclidean distance. */
export type MeanDistance = 'cosine' | 'l2';

/**
 * LNC@k ("Diffusing in the Right Space", 2026): mean share of the k images nearest to an image that have its label,
 * for each of `counts`; near by their mean tokens [images, channels].
 */
export async function neighbourConsistency(
  means: RowSample,
  labels: ArrayLike<number>,
  distance: MeanDistance,
  counts: readonly number[],
  communicator = alone,
): Promise<number[]> {
  const nearest = await othersOf(means, distance, Math.max(...counts), communicator);
  return counts.map(k => {
    let same = 0;
    for (const [row, others] of nearest.entries())
      for (const other of others.slice(0, k)) same += labels[other] === labels[row] ? 1 : 0;
    return same / (means.rows * Math.min(k, means.rows - 1));
  });
}

/** Each row's k nearest others, nearest first. */
async function othersOf(
  { rows, width, data }: RowSample,
  distance: MeanDistance,
  k: number,
  communicator: Communicator,
): Promise<Int32Array[]> {
  if (distance === 'l2') {
    const found = await nearestNeighbours(data, rows, width, k, communicator);
    return Array.from({ length: rows }, (_, row) => found.rows.slice(row * found.k, (row + 1) * found.k));
  }
  const x = tf.tidy(() => {
    const raw = tf.tensor2d(data, [rows, width]);
    return unitRows(raw.sub<Tensor2D>(raw.mean(0, true)));
  });
  // Itself among them.
  const found = await mostSimilarAmong(x, k + 1, communicator);
  x.dispose();
  return Array.from({ length: rows }, (_, row) =>
    found.rows
      .slice(row * found.k, (row + 1) * found.k)
      .filter(other => other !== row)
      .slice(0, k),
  );
}

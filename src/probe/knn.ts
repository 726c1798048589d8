import { tf } from '../engine/index.js';
import { mostSimilar, unitRows, type Neighbours } from '../neighbours/index.js';
import { blocksOfAll, type FeatureMatrix } from './matrix.js';
import type { Votes } from './names.js';

/** Temperature of the votes in DINO's protocol (Caron et al. 2021). */
const TEMPERATURE = 0.07;

/**
 * Votes for each class of the k nearest training rows in cosine similarity, as logarithms, −∞ where a class has none:
 * for each k a [queries, classes] array, whose softmax is the classes' shares of the votes. Both matrices must be
 * scaled alike. A rank compares all queries with the training rows that it holds.
 */
export async function knnScores(
  train: FeatureMatrix,
  queries: FeatureMatrix,
  classes: number,
  ks: number[],
  votes: Votes = 'weighted',
): Promise<Float32Array[]> {
  const scores = ks.map(() => new Float32Array(queries.rows * classes));
  const directions = train.blocks.map(({ x, start }) => ({ x: unitRows(x), start }));
  try {
    for await (const { x, start } of blocksOfAll(queries)) {
      const unit = unitRows(x);
      const nearest = await mostSimilar(unit, directions, Math.max(...ks), train.communicator);
      unit.dispose();
      const weigh = votes === 'majority' ? () => 1 : (cosine: number) => Math.exp((cosine - 1) / TEMPERATURE);
      ks.forEach((k, i) => vote(nearest, k, train.labels, scores[i].subarray(start * classes), classes, weigh));
    }
    for (const own of scores) own.forEach((sum, i) => (own[i] = Math.log(sum)));
  } finally {
    tf.dispose(directions.map(({ x }) => x));
  }
  return scores;
}

function vote(
  { k: found, rows, values }: Neighbours,
  k: number,
  labels: Int32Array,
  scores: Float32Array,
  classes: number,
  weigh: (cosine: number) => number,
): void {
  const queries = rows.length / found;
  for (let query = 0; query < queries; query++)
    for (let i = query * found; i < query * found + Math.min(k, found); i++)
      scores[query * classes + labels[rows[i]]] += weigh(values[i]);
}

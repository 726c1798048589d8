import { matMul, tf, type Tensor2D } from '../engine/index.js';
import type { FeatureMatrix } from './matrix.js';

/** Temperature of the votes in DINO's protocol (Caron et al. 2021). */
const TEMPERATURE = 0.07;
/** Similarities held at once: queries × training rows of one block. */
const SIMILARITIES = 2 ** 24;

/**
 * Class scores by the k nearest training rows in cosine similarity, weighted exp(similarity / 0.07): for each k a
 * [queries, classes] array. Both matrices must be scaled alike.
 */
export async function knnScores(
  train: FeatureMatrix,
  queries: FeatureMatrix,
  classes: number,
  ks: number[],
): Promise<Float32Array[]> {
  const most = Math.min(Math.max(...ks), train.rows);
  const scores = ks.map(() => new Float32Array(queries.rows * classes));
  const directions = train.blocks.map(({ x, start }) => ({ x: normalised(x), start }));
  try {
    for (const { x, start } of queries.blocks) {
      const step = Math.max(1, Math.floor(SIMILARITIES / Math.max(...train.blocks.map(block => block.x.shape[0]))));
      for (let row = 0; row < x.shape[0]; row += step) {
        const count = Math.min(step, x.shape[0] - row);
        const slice = tf.tidy(() => normalised(tf.slice2d(x, [row, 0], [count, -1])));
        const nearest = await nearestRows(slice, directions, most);
        slice.dispose();
        vote(nearest, most, train.labels, classes, ks, scores, start + row);
      }
    }
  } finally {
    tf.dispose(directions.map(({ x }) => x));
  }
  return scores;
}

const normalised = (x: Tensor2D): Tensor2D =>
  tf.tidy(() => x.div<Tensor2D>(tf.maximum(tf.sqrt(x.square().sum(1, true)), 1e-12)));

interface Nearest {
  rows: Int32Array;
  similarities: Float32Array;
}

/** The `most` most similar rows of each query, best first, over all blocks. */
async function nearestRows(queries: Tensor2D, train: FeatureMatrix['blocks'], most: number): Promise<Nearest[]> {
  let best: Nearest[] = Array.from({ length: queries.shape[0] }, () => ({
    rows: new Int32Array(0),
    similarities: new Float32Array(0),
  }));
  for (const { x, start } of train) {
    const k = Math.min(most, x.shape[0]);
    const { values, indices } = tf.tidy(() => tf.topk(matMul(queries, x, { transposeB: true }), k));
    const [similarities, rows] = (await Promise.all([values.data(), indices.data()])) as [Float32Array, Int32Array];
    tf.dispose([values, indices]);
    best = best.map((known, i) =>
      merge(
        known,
        {
          rows: rows.slice(i * k, (i + 1) * k).map(row => row + start),
          similarities: similarities.slice(i * k, (i + 1) * k),
        },
        most,
      ),
    );
  }
  return best;
}

/** Two lists, best first, into one of at most `most`. */
function merge(a: Nearest, b: Nearest, most: number): Nearest {
  if (a.rows.length === 0) return b;
  const size = Math.min(most, a.rows.length + b.rows.length);
  const out: Nearest = { rows: new Int32Array(size), similarities: new Float32Array(size) };
  for (let i = 0, p = 0, q = 0; i < size; i++) {
    const fromA = q >= b.rows.length || (p < a.rows.length && a.similarities[p] >= b.similarities[q]);
    const [source, at] = fromA ? [a, p++] : [b, q++];
    out.rows[i] = source.rows[at];
    out.similarities[i] = source.similarities[at];
  }
  return out;
}

function vote(
  nearest: Nearest[],
  most: number,
  labels: Int32Array,
  classes: number,
  ks: number[],
  scores: Float32Array[],
  first: number,
): void {
  nearest.forEach(({ rows, similarities }, query) => {
    ks.forEach((k, which) => {
      for (let i = 0; i < Math.min(k, most); i++)
        scores[which][(first + query) * classes + labels[rows[i]]] += Math.exp((similarities[i] - 1) / TEMPERATURE);
    });
  });
}

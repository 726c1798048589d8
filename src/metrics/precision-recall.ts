import { UserError } from '../base/index.js';
import { tf, type Tensor, type Tensor1D, type Tensor2D } from '../engine/index.js';
import type { DistributionMetric, MetricScore } from './metric.js';
import { keep, noRows, together, type FeatureRows, type KeptRows } from './rows.js';

/** Bytes of one block of distances. */
const BLOCK_BYTES = 64 * 2 ** 20;

type Distances = (a: Tensor2D, b: Tensor2D) => Tensor2D;

/** Squared distances of a few rows `a` to all rows `b`, never negative. */
const exact: Distances = (a, b) => {
  const products = tf.matMul(a, b, false, true);
  return tf.relu(squares(a, 1).add(squares(b, 0)).sub<Tensor2D>(products.mul(2)));
};

/** Distances with every operand and result rounded to half precision, as in ADM's evaluator on such features. */
const inHalf: Distances = (a, b) => {
  const [u, v] = [half(a), half(b)];
  const norms = (x: Tensor2D, axis: 0 | 1): Tensor => half(shaped(half(x.square()).sum(1), axis));
  const products = half(tf.matMul(u, v, false, true));
  return tf.relu(half(half(norms(u as Tensor2D, 1).sub(products.mul(2))).add(norms(v as Tensor2D, 0)))) as Tensor2D;
};

const squares = (x: Tensor2D, axis: 0 | 1): Tensor => shaped(x.square().sum(1), axis);
/** Norms as a column (of `a`) or as a row (of `b`). */
const shaped = (norms: Tensor, axis: 0 | 1): Tensor => norms.reshape(axis === 1 ? [-1, 1] : [1, -1]);

/** Rounds to half precision's 11 significant bits (Veltkamp's splitting). */
function half(x: Tensor): Tensor {
  const c = x.mul(2 ** 13 + 1);
  return c.sub(c.sub(x));
}

/** `use` on the distances of each block of rows of `a` to all rows of `b`; its results side by side. */
async function overBlocks(
  a: FeatureRows,
  b: FeatureRows,
  distances: Distances,
  use: (distances: Tensor2D) => Tensor1D,
): Promise<Float32Array> {
  const out = new Float32Array(a.rows);
  const rowsPerBlock = Math.max(1, Math.floor(BLOCK_BYTES / (4 * b.rows)));
  const all = tf.tensor2d(b.data, [b.rows, b.width]);
  for (let start = 0; start < a.rows; start += rowsPerBlock) {
    const end = Math.min(a.rows, start + rowsPerBlock);
    const result = tf.tidy(() => {
      const block = tf.tensor2d(a.data.subarray(start * a.width, end * a.width), [end - start, a.width]);
      return use(distances(block, all));
    });
    out.set(await result.data(), start);
    result.dispose();
  }
  all.dispose();
  return out;
}

/** Squared distance of each row to its k-th nearest other row (the row itself comes first and does not count). */
export async function squaredRadii(rows: FeatureRows, k: number, between = exact): Promise<Float32Array> {
  if (rows.rows <= k)
    throw new UserError(`precision and recall need more than ${k} images per side, ${rows.rows} were given`);
  return await overBlocks(rows, rows, between, distances => {
    const nearest = tf.topk(distances.neg(), k + 1).values;
    return tf.slice(nearest, [0, k], [-1, 1]).neg().reshape<Tensor1D>([-1]);
  });
}

/** Share of rows that lie within the radius of at least one row of the other set (Kynkäänniemi et al. 2019). */
async function covered(
  rows: FeatureRows,
  others: FeatureRows,
  squared: Float32Array,
  between: Distances,
): Promise<number> {
  const radii = tf.tensor1d(squared);
  const slack = await overBlocks(rows, others, between, distances => distances.sub(radii).min<Tensor1D>(1));
  radii.dispose();
  return slack.reduce((inside, least) => inside + (least <= 0 ? 1 : 0), 0) / rows.rows;
}

export interface PrecisionRecall {
  /** Share of the samples that look real. */
  precision: number;
  /** Share of the real images that samples come near to. */
  recall: number;
}

/** @param precision `half` repeats the rounding of ADM's evaluator; `float32` is right. */
export async function precisionRecall(
  sample: FeatureRows,
  reference: FeatureRows,
  precision: 'float32' | 'half' = 'float32',
  k = 3,
): Promise<PrecisionRecall> {
  // Distances stay the same and lose fewer digits near the origin; what the evaluator rounds is not moved.
  const centre = precision === 'half' ? undefined : meanOf(reference);
  const between = precision === 'half' ? inHalf : exact;
  const [x, y] = centre ? [centred(sample, centre), centred(reference, centre)] : [sample, reference];
  const [radiiX, radiiY] = [await squaredRadii(x, k, between), await squaredRadii(y, k, between)];
  return {
    precision: await covered(x, y, radiiY, between),
    recall: await covered(y, x, radiiX, between),
  };
}

function meanOf({ rows, width, data }: FeatureRows): Float64Array {
  const mean = new Float64Array(width);
  for (let i = 0; i < data.length; i++) mean[i % width] += data[i];
  return mean.map(sum => sum / rows);
}

const centred = ({ rows, width, data }: FeatureRows, centre: Float64Array): FeatureRows => ({
  rows,
  width,
  data: data.map((value, i) => value - centre[i % width]),
});

export const precisionAndRecall: DistributionMetric<KeptRows> = {
  name: 'precision-recall',
  otherwise: 'precision-recall',
  needs: 'pooled',
  sides: 'both',
  init: ({ width }) => noRows(width),
  add: keep,
  value: async (sample, reference) => {
    const [x, y] = [together(sample), together(reference!)];
    const scores: MetricScore[] = [];
    for (const [rounding, variant] of [
      ['float32', 'k=3'],
      ['half', 'adm (k=3, half precision)'],
    ] as const) {
      const { precision, recall } = await precisionRecall(x, y, rounding);
      scores.push({ metric: 'precision', variant, value: precision }, { metric: 'recall', variant, value: recall });
    }
    return scores;
  },
};

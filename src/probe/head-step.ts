import {
  applyMomentum,
  columnSums,
  crossEntropyGradient,
  hasKernels,
  matMul,
  moveTowards,
  tf,
  type MomentumTerm,
  type Tensor,
  type Variable,
} from '../engine/index.js';
import { BATCH_NORM_MOMENTUM } from '../nn/index.js';
import type { Batch } from './batches.js';

/** Weights and biases of some heads, their velocities, and the running statistics of the features. */
export type HeadState = Record<'w' | 'b' | 'vw' | 'vb' | 'mean' | 'variance', Variable>;

export interface StepOptions {
  /** Learning rate of every column, [heads · classes]. */
  rate: Tensor;
  heads: number;
  classes: number;
  momentum: number;
  lars: boolean;
  batchNorm: boolean;
}

export const NORM_EPS = 1e-6;
const TRUST = 1e-3;

/** One step of SGD with momentum. */
export async function takeStep(state: HeadState, batch: Batch, options: StepOptions): Promise<void> {
  const { momentum, lars, batchNorm, rate, heads, classes } = options;
  const norm = batchNorm ? await batchMoments(batch) : undefined;
  const [gradW, gradB] = await batch.summed(tf.tidy(() => gradientsOf(state, batch, norm, options)));
  const scale = lars ? tf.tidy(() => trust(state.w.read(), gradW, heads, classes)) : undefined;
  const terms: MomentumTerm[] = [
    { p: state.w, v: state.vw, gradient: gradW, scale },
    { p: state.b, v: state.vb, gradient: gradB },
  ];
  applyMomentum(terms, rate, momentum);
  if (norm) blend(state, norm, batch.rows);
  tf.dispose([gradW, gradB, ...(scale ? [scale] : []), ...(norm ? [norm.mean, norm.variance] : [])]);
}

interface Norm {
  mean: Tensor;
  variance: Tensor;
}

/** Mean and biased variance of every feature over the batch. */
async function batchMoments({ x, rows, whole, summed }: Batch): Promise<Norm> {
  if (whole) return tf.moments(x, 0);
  const [total] = await summed([x.sum(0)]);
  const mean = total.div(rows);
  const [squares] = await summed([tf.tidy(() => x.sub(mean).square().sum(0))]);
  const variance = squares.div(rows);
  tf.dispose([total, squares]);
  return { mean, variance };
}

/** Gradients of the mean cross-entropy of a softmax in closed form, over the rows at hand. */
function gradientsOf(
  { w, b }: HeadState,
  { x, labels, rows }: Batch,
  norm: Norm | undefined,
  { heads, classes }: StepOptions,
): Tensor[] {
  if (x.shape[0] === 0) return [tf.zeros([x.shape[1], heads * classes]), tf.zeros([heads * classes])];
  const input = norm ? x.sub(norm.mean).mul(norm.variance.add(NORM_EPS).rsqrt()) : x;
  const logits = matMul(input, w.read());
  const error = (hasKernels() ? crossEntropyGradient : composedGradient)(logits, b.read(), labels, {
    heads,
    scale: 1 / rows,
  });
  return [matMul(input, error, { transposeA: true }), hasKernels() ? columnSums(error) : error.sum(0)];
}

/** As `crossEntropyGradient`. */
const composedGradient: typeof crossEntropyGradient = (logits, bias, labels, { heads, scale }) => {
  const [rows, columns] = logits.shape as [number, number];
  const classes = columns / heads;
  const truth = tf.oneHot(tf.tensor1d(labels, 'int32'), classes).reshape([rows, 1, classes]);
  const weights = tf.softmax(logits.add(bias).reshape([rows, heads, classes]));
  return weights.sub(truth).mul(scale).reshape([rows, columns]);
};

/** Blends the batch's statistics into the running ones. */
function blend({ mean, variance }: HeadState, norm: Norm, rows: number): void {
  tf.tidy(() => {
    // PyTorch keeps the unbiased variance.
    const unbiased = norm.variance.mul(rows / Math.max(1, rows - 1));
    moveTowards(
      [
        [mean, norm.mean],
        [variance, unbiased],
      ],
      tf.scalar(BATCH_NORM_MOMENTUM),
    );
  });
}

/** LARS's factor of every head's weights, 0.001 ‖w‖ / ‖g‖, spread over its columns. */
function trust(w: Tensor, gradient: Tensor, heads: number, classes: number): Tensor {
  const norm = (x: Tensor): Tensor => x.square().sum(0).reshape([heads, classes]).sum(1).sqrt();
  const ratio = norm(w).div(norm(gradient).maximum(1e-12)).mul(TRUST);
  return tf.tile(ratio.reshape([heads, 1]), [1, classes]).reshape([heads * classes]);
}

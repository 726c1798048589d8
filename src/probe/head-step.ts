import { matMul, tf, type Tensor } from '../engine/index.js';
import { BATCH_NORM_MOMENTUM } from '../nn/index.js';
import type { Batch } from './batches.js';

/** Weights and biases of some heads, their velocities, and the running statistics of the features. */
export type HeadState = Record<'w' | 'b' | 'vw' | 'vb' | 'mean' | 'variance', Tensor>;

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

/** The state after one step of SGD with momentum; that before it is not changed. */
export async function stepped(state: HeadState, batch: Batch, options: StepOptions): Promise<HeadState> {
  const { momentum, lars, batchNorm, rate, heads, classes } = options;
  const norm = batchNorm ? await batchMoments(batch) : undefined;
  const [gradW, gradB] = await batch.summed(tf.tidy(() => gradientsOf(state, batch, norm, options)));
  const next = tf.tidy((): HeadState => {
    const vw = state.vw.mul(momentum).add(lars ? gradW.mul(trust(state.w, gradW, heads, classes)) : gradW);
    const vb = state.vb.mul(momentum).add(gradB);
    return {
      w: state.w.sub(vw.mul(rate)),
      b: state.b.sub(vb.mul(rate)),
      vw,
      vb,
      ...running(state, norm, batch.rows),
    };
  });
  tf.dispose([gradW, gradB, ...(norm ? [norm.mean, norm.variance] : [])]);
  return next;
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
  const here = x.shape[0];
  if (here === 0) return [tf.zeros(w.shape), tf.zeros(b.shape)];
  const input = norm ? x.sub(norm.mean).mul(norm.variance.add(NORM_EPS).rsqrt()) : x;
  const logits = matMul(input, w).add(b).reshape([here, heads, classes]);
  const truth = tf.oneHot(tf.tensor1d(labels, 'int32'), classes).reshape([here, 1, classes]);
  const error = tf
    .softmax(logits)
    .sub(truth)
    .div(rows)
    .reshape([here, heads * classes]);
  return [matMul(input, error, { transposeA: true }), error.sum(0)];
}

/** The running statistics with the batch's blended in. */
function running({ mean, variance }: HeadState, norm: Norm | undefined, rows: number): Norm {
  if (!norm) return { mean: mean.clone(), variance: variance.clone() };
  const blend = (old: Tensor, now: Tensor): Tensor =>
    old.mul(1 - BATCH_NORM_MOMENTUM).add(now.mul(BATCH_NORM_MOMENTUM));
  // PyTorch keeps the unbiased variance.
  const unbiased = norm.variance.mul(rows / Math.max(1, rows - 1));
  return { mean: blend(mean, norm.mean), variance: blend(variance, unbiased) };
}

/** LARS's factor of every head's weights, 0.001 ‖w‖ / ‖g‖, spread over its columns. */
function trust(w: Tensor, gradient: Tensor, heads: number, classes: number): Tensor {
  const norm = (x: Tensor): Tensor => x.square().sum(0).reshape([heads, classes]).sum(1).sqrt();
  const ratio = norm(w).div(norm(gradient).maximum(1e-12)).mul(TRUST);
  return tf.tile(ratio.reshape([heads, 1]), [1, classes]).reshape([heads * classes]);
}

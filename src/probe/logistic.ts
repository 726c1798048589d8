import {
  cholesky,
  matMul,
  NotPositiveDefiniteError,
  tf,
  triangularSolve,
  type Tensor,
  type Tensor2D,
} from '../engine/index.js';
import { lbfgs } from './lbfgs.js';
import type { FeatureMatrix } from './matrix.js';

/** Multinomial logistic regression: scores = x · weights + bias. */
export interface LogisticModel {
  /** [features, classes], row-major. */
  weights: Float32Array;
  bias: Float32Array;
  features: number;
  classes: number;
  iterations: number;
  converged: boolean;
  /** Mean cross-entropy over the training rows plus the penalty, nats. */
  objective: number;
}

export interface LogisticOptions {
  classes: number;
  /**
   * scikit-learn's inverse penalties C: the objective is mean cross-entropy + ‖weights‖² / (2 C rows). Each fit
   * starts from the one before, so ascending order is fastest.
   */
  inversePenalties: number[];
  maxIterations?: number;
  /** Stop when no entry of the mean objective's gradient, in the scaled variables, is larger. */
  tolerance?: number;
}

/** Widths up to which the features' second moments are factorised; beyond it the matrix itself would cost too much. */
const WIDEST_FACTOR = 6144;

/**
 * One model per penalty, by L-BFGS in variables scaled by Böhning's bound: the Hessian of the cross-entropy is at most
 * ½ (I − 11ᵀ/classes) ⊗ XᵀX / n, so with W = M V, (M Mᵀ)⁻¹ = ½ XᵀX / n + penalty, it is at most the identity, and a few
 * tens of iterations do what takes hundreds in W. The objective, and so the model, is the same.
 */
export async function fitLogistic(
  data: FeatureMatrix,
  { classes, inversePenalties, maxIterations = 500, tolerance = 1e-5 }: LogisticOptions,
): Promise<LogisticModel[]> {
  const { width, rows } = data;
  const penalties = inversePenalties.map(c => 1 / (c * rows));
  const scaling = width > WIDEST_FACTOR ? undefined : await boundScaling(data, Math.min(...penalties));
  const models: LogisticModel[] = [];
  try {
    let variables = new Float64Array((width + 1) * classes);
    for (const penalty of penalties) {
      const problem = { data, scaling, classes, penalty };
      const result = await lbfgs(x => evaluate(problem, x), variables, { maxIterations, tolerance });
      variables = result.x as Float64Array<ArrayBuffer>;
      models.push({
        weights: await weightsOf(problem, variables),
        bias: Float32Array.from(variables.subarray(width * classes)),
        features: width,
        classes,
        iterations: result.iterations,
        converged: result.converged,
        objective: result.value,
      });
    }
    return models;
  } finally {
    scaling?.dispose();
  }
}

interface Problem {
  data: FeatureMatrix;
  /** Upper triangular M with W = M V; undefined: V = W. */
  scaling: Tensor2D | undefined;
  classes: number;
  penalty: number;
}

/** V [features, classes] of the variables, which hold the bias behind it. */
function scaledWeights({ data: { width }, classes }: Problem, x: Float64Array): Tensor2D {
  return tf.tensor2d(Float32Array.from(x.subarray(0, width * classes)), [width, classes]);
}

async function weightsOf(problem: Problem, x: Float64Array): Promise<Float32Array> {
  const { scaling } = problem;
  const weights = tf.tidy(() => {
    const v = scaledWeights(problem, x);
    return scaling ? matMul(scaling, v) : v;
  });
  try {
    return (await weights.data()) as Float32Array;
  } finally {
    weights.dispose();
  }
}

/** The objective and its gradient in the scaled variables. */
async function evaluate(problem: Problem, x: Float64Array): Promise<{ value: number; gradient: Float64Array }> {
  const { data, scaling, classes, penalty } = problem;
  const [gradient, value] = tf.tidy((): [Tensor, Tensor] => {
    const v = scaledWeights(problem, x);
    const w = scaling ? matMul(scaling, v) : v;
    const bias = tf.tensor1d(Float32Array.from(x.subarray(data.width * classes)));
    let sums: Tensor[] = [
      w
        .square()
        .sum()
        .mul(penalty / 2),
      w.mul(penalty),
      tf.zeros([classes]),
    ];
    for (const block of data.blocks) {
      const part = crossEntropy(data, block, w, bias);
      sums = sums.map((sum, i) => sum.add(part[i]));
    }
    const [loss, dw, db] = sums;
    const dv = scaling ? matMul(scaling, dw, { transposeA: true }) : dw;
    return [tf.concat([dv.reshape([data.width * classes]), db]), loss];
  });
  try {
    const [numbers, [sum]] = await Promise.all([gradient.data(), value.data()]);
    return { value: sum, gradient: Float64Array.from(numbers) };
  } finally {
    tf.dispose([gradient, value]);
  }
}

/** One block's share of the mean cross-entropy and its gradients in W and the bias. */
function crossEntropy(
  { labels, rows }: FeatureMatrix,
  { x, start }: FeatureMatrix['blocks'][number],
  w: Tensor,
  bias: Tensor,
): [loss: Tensor, dw: Tensor, db: Tensor] {
  return tf.tidy(() => {
    const truth = tf.oneHot(tf.tensor1d(labels.subarray(start, start + x.shape[0]), 'int32'), bias.shape[0]);
    const logits = matMul(x, w).add(bias);
    const logProbabilities = logits.sub(tf.logSumExp(logits, 1, true));
    const error = tf.exp(logProbabilities).sub(truth).div(rows);
    return [logProbabilities.mul(truth).sum().div(-rows), matMul(x, error, { transposeA: true }), error.sum(0)];
  });
}

/** Scores [rows, classes] of every row of the matrix. */
export async function logisticScores(
  { weights, bias, features, classes }: LogisticModel,
  data: FeatureMatrix,
): Promise<Float32Array> {
  const w = tf.tensor2d(weights, [features, classes]);
  const b = tf.tensor1d(bias);
  const scores = new Float32Array(data.rows * classes);
  for (const { x, start } of data.blocks) {
    const block = tf.tidy(() => matMul(x, w).add(b));
    scores.set(await block.data(), start * classes);
    block.dispose();
  }
  tf.dispose([w, b]);
  return scores;
}

/** M = L⁻ᵀ for L Lᵀ = ½ XᵀX / n + penalty. */
async function boundScaling({ blocks, width, rows }: FeatureMatrix, penalty: number): Promise<Tensor2D> {
  const moments = new Float64Array(width * width);
  for (const { x } of blocks) {
    const product = matMul(x, x, { transposeA: true });
    const values = await product.data();
    product.dispose();
    for (let i = 0; i < values.length; i++) moments[i] += values[i];
  }
  for (let i = 0; i < moments.length; i++) moments[i] /= 2 * rows;
  const lower = factor(moments, width, penalty);
  const identity = new Float64Array(width * width);
  for (let i = 0; i < width; i++) identity[i * width + i] = 1;
  const inverse = triangularSolve(lower, identity, width, width);
  return tf.tidy(() => tf.transpose<Tensor2D>(tf.tensor2d(Float32Array.from(inverse), [width, width])));
}

/** Cholesky factor of A + ridge; the ridge grows where rounding of nearly dependent features makes A indefinite. */
function factor(moments: Float64Array, width: number, penalty: number): Float64Array {
  for (let ridge = Math.max(penalty, 1e-6); ; ridge *= 10) {
    const shifted = moments.slice();
    for (let i = 0; i < width; i++) shifted[i * width + i] += ridge;
    try {
      return cholesky(shifted, width);
    } catch (error) {
      if (!(error instanceof NotPositiveDefiniteError) || ridge > 1) throw error;
    }
  }
}

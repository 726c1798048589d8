import type { Scalar } from '@tensorflow/tfjs';
import { tf, type Tensor, type Tensor1D } from '../engine/index.js';
import type { PathName, PredictionName, Weighting } from './names.js';
import { noiseRate, PATHS, type PathPoint } from './paths.js';
import { TARGETS } from './predictions.js';

/** One column of numbers per row of a batch, [n, 1, 1]. */
function column(values: number[]): Tensor {
  return tf.tensor3d(values, [values.length, 1, 1]);
}

/** x_t = α data + σ noise with one time per row. data and noise [n, tokens, channels]. */
export function noisyAt(path: PathName, data: Tensor, noise: Tensor, t: ArrayLike<number>): Tensor {
  const points = Array.from(t, PATHS[path]);
  return tf.tidy(() => data.mul(column(points.map(p => p.alpha))).add(noise.mul(column(points.map(p => p.sigma)))));
}

/** What the network should give for x_t, [n, tokens, channels]. */
export function targetAt(
  path: PathName,
  prediction: PredictionName,
  data: Tensor,
  noise: Tensor,
  t: ArrayLike<number>,
): Tensor {
  const weights = Array.from(t, time => TARGETS[prediction](PATHS[path](time)));
  return tf.tidy(() => data.mul(column(weights.map(w => w.data))).add(noise.mul(column(weights.map(w => w.noise)))));
}

/** Factor of the squared error in the noise; the error in the velocity is (noise rate / σ) times that in the noise. */
const NOISE_WEIGHTS: Record<Weighting, (p: PathPoint) => number> = {
  none: () => 1,
  velocity: p => (noiseRate(p) / p.sigma) ** 2,
  likelihood: p => noiseRate(p) / p.sigma ** 2,
};

/** Factor that turns a squared error of the prediction into one of the noise. */
const AS_NOISE: Record<PredictionName, (p: PathPoint) => number> = {
  velocity: () => 1,
  noise: () => 1,
  score: ({ sigma }) => sigma ** 2,
  data: ({ alpha, sigma }) => (alpha / sigma) ** 2,
};

/** Factor of a row's squared error. A velocity is learned unweighted; data unweighted as data, a score as noise. */
export function lossWeight(path: PathName, prediction: PredictionName, weighting: Weighting, t: number): number {
  if (prediction === 'velocity') return 1;
  const point = PATHS[path](t);
  if (prediction === 'data' && weighting === 'none') return 1;
  return NOISE_WEIGHTS[weighting](point) * AS_NOISE[prediction](point);
}

/** Mean over all of a row, [n]. */
export function rowMean(x: Tensor): Tensor1D {
  return x.reshape([x.shape[0], -1]).mean<Tensor1D>(1);
}

/** Weighted mean squared error of each row, [n]. */
export function squaredErrors(prediction: Tensor, target: Tensor, weights?: number[]): Tensor1D {
  return tf.tidy(() => {
    const errors = rowMean(prediction.sub(target).square());
    return weights ? errors.mul(tf.tensor1d(weights)) : errors;
  });
}

const TINY = 1e-8;

/** cos of the angle between vectors along the last axis, [...]; norms below 1e-8 count as that. */
export function cosine(a: Tensor, b: Tensor): Tensor {
  return tf.tidy(() => {
    // The root after the bound: a network starts by predicting zeros, where the root's own slope is infinite.
    const norm = (x: Tensor): Tensor => tf.maximum(x.square().sum(-1), TINY ** 2).sqrt();
    return a
      .mul(b)
      .sum(-1)
      .div(norm(a).mul(norm(b)));
  });
}

/** LightningDiT's direction term: 1 − cosine along the channels, mean over each row's tokens, [n]. */
export function directionErrors(prediction: Tensor, target: Tensor): Tensor1D {
  return tf.tidy(() => rowMean(tf.sub(1, cosine(prediction, target))));
}

/** REPA's alignment: minus the cosine, mean over tokens and rows, averaged over encoders. Each [n, tokens, features]. */
export function alignmentLoss(projected: Tensor[], features: Tensor[]): Scalar {
  return tf.tidy(() => {
    const each = projected.map((p, k) => cosine(p, features[k]).mean());
    return tf.addN(each).div<Scalar>(-each.length);
  });
}

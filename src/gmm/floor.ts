import { eigh, RandomStream, tf, type Tensor, type Tensor2D } from '../engine/index.js';
import { eachCovariance } from './covariance/index.js';
import type { Mixture } from './mixture.js';

/*
 * On the straight path x_t = t x₁ + (1 − t) x₀ from noise x₀ to data x₁ a velocity network learns v = x₁ − x₀. Where the
 * data are a Gaussian mixture the best it can do, E[v | x_t], and what is left even then, tr Var(v | x_t), are closed
 * forms given x_t: within component k, along an eigenvector of its covariance with eigenvalue λ,
 *   Var(x_t) = s = t² λ + (1 − t)²,  Cov(v, x_t) = c = t λ − (1 − t),  Var(v | x_t) = λ + 1 − c² / s.
 * The mean over x_t of a mixture of those is a Monte Carlo sum, exact for one component.
 */

export interface FloorOptions {
  /** Times in [0, 1]; t = 0 is noise, t = 1 data. */
  times: ArrayLike<number>;
  /** Draws of x_t per time; default 512. */
  samples?: number;
  seed: number;
}

/**
 * The lowest mean squared error per dimension that any velocity model can reach at each time, [times], in the squared units
 * of the mixture's space; the noise has unit variance.
 */
export function diffusionFloor(mixture: Mixture, { times, samples = 512, seed }: FloorOptions): Float64Array {
  const spectra = eachCovariance(mixture, covariance => eigh(covariance, mixture.dims));
  if (mixture.components === 1)
    return Float64Array.from(times, t => conditionalVariance(spectra[0].values, t) / mixture.dims);
  return Float64Array.from(times, (t, i) =>
    floorAt(mixture, spectra, t, samples, new RandomStream(seed).for('floor').at(i)),
  );
}

interface ComponentSpectrum {
  values: Float64Array;
  /** [dims, dims], a column per eigenvector. */
  vectors: Float64Array;
}

/** Σ λ + 1 − c² / s over the eigenvalues of one component. */
function conditionalVariance(values: Float64Array, t: number): number {
  return values.reduce((sum, value) => {
    const c = t * value - (1 - t);
    return sum + value + 1 - (c * c) / (t * t * value + (1 - t) ** 2);
  }, 0);
}

function floorAt(
  mixture: Mixture,
  spectra: ComponentSpectrum[],
  t: number,
  samples: number,
  random: RandomStream,
): number {
  const { components, dims, weights, means } = mixture;
  const rows = drawPath(mixture, spectra, t, samples, random);
  const logs = new Float64Array(samples * components);
  const x = tf.tensor2d(rows, [samples, dims]);
  const best = spectra.map((spectrum, k) => {
    const answer = componentAnswer(x, spectrum, means.subarray(k * dims, (k + 1) * dims), t);
    const weight = Math.log(weights[k]);
    for (let n = 0; n < samples; n++) logs[n * components + k] = weight + answer.logs[n];
    return answer.velocities;
  });
  x.dispose();
  const within = spectra.map(({ values }) => conditionalVariance(values, t));
  let total = 0;
  const mean = new Float64Array(dims);
  for (let n = 0; n < samples; n++) {
    const r = softmax(logs.subarray(n * components, (n + 1) * components));
    mean.fill(0);
    for (let k = 0; k < components; k++) {
      if (r[k] < 1e-12) continue;
      let squares = 0;
      for (let j = 0; j < dims; j++) {
        const value = best[k][n * dims + j];
        mean[j] += r[k] * value;
        squares += value * value;
      }
      total += r[k] * (within[k] + squares);
    }
    for (let j = 0; j < dims; j++) total -= mean[j] ** 2;
  }
  return total / samples / dims;
}

/** For one component and every x_t: E[v | x_t, k] [samples, dims], and log N(x_t) up to a constant common to all k. */
function componentAnswer(
  x: Tensor2D,
  { values, vectors }: ComponentSpectrum,
  mean: Float64Array,
  t: number,
): { velocities: Float32Array; logs: Float64Array } {
  const variances = values.map(value => t * t * value + (1 - t) ** 2);
  const gain = values.map((value, i) => (t * value - (1 - t)) / variances[i]);
  const vector = (numbers: Float64Array): Tensor => tf.tensor1d(Float32Array.from(numbers));
  const [distances, velocities] = tf.tidy((): [Tensor, Tensor] => {
    const basis = tf.tensor2d(Float32Array.from(vectors), [mean.length, mean.length]);
    const z: Tensor2D = tf.matMul(x.sub(vector(mean.map(m => t * m))), basis);
    return [
      z.square().div(vector(variances)).sum(1),
      tf.matMul<Tensor>(z.mul<Tensor2D>(vector(gain)), basis, false, true).add(vector(mean)),
    ];
  });
  const constant = -0.5 * variances.reduce((sum, s) => sum + Math.log(s), 0);
  return {
    velocities: numbersOf(velocities),
    logs: Float64Array.from(numbersOf(distances), distance => constant - 0.5 * distance),
  };
}

/** A tensor's numbers; it is disposed of. Never read within `tidy`, which looks for a tensor in each of them. */
function numbersOf(tensor: Tensor): Float32Array {
  const numbers = tensor.dataSync() as Float32Array;
  tensor.dispose();
  return numbers;
}

/** x_t for rows of the mixture: component by component in proportion to its weight, so that none is left to chance. */
function drawPath(
  { components, dims, weights, means }: Mixture,
  spectra: ComponentSpectrum[],
  t: number,
  samples: number,
  random: RandomStream,
): Float32Array {
  const normals = random.for('rows').normals(samples * dims);
  const offset = random.for('components').uniforms(1)[0];
  const out = new Float32Array(samples * dims);
  let first = 0;
  let passed = 0;
  for (let k = 0; k < components; k++) {
    passed += weights[k];
    const end =
      k === components - 1 ? samples : Math.min(samples, Math.max(first, Math.round(passed * samples - offset)));
    if (end === first) continue;
    const { values, vectors } = spectra[k];
    const rows = tf.tidy((): Tensor => {
      const std = tf.tensor1d(Float32Array.from(values, value => Math.sqrt(t * t * value + (1 - t) ** 2)));
      const z = tf.tensor2d(normals.subarray(first * dims, end * dims), [end - first, dims]).mul(std);
      const basis = tf.tensor2d(Float32Array.from(vectors), [dims, dims]);
      const centre = tf.tensor1d(Float32Array.from(means.subarray(k * dims, (k + 1) * dims), mean => t * mean));
      return tf.matMul(z as Tensor2D, basis, false, true).add(centre);
    });
    out.set(numbersOf(rows), first * dims);
    first = end;
  }
  return out;
}

function softmax(logs: Float64Array): Float64Array {
  const largest = logs.reduce((a, b) => Math.max(a, b), -Infinity);
  const out = logs.map(log => Math.exp(log - largest));
  const sum = out.reduce((a, b) => a + b, 0);
  return out.map(value => value / sum);
}

import { RandomNumbers } from '../base/index.js';
import type { Fit } from './run.js';

export interface OfficialOptions {
  components: number;
  /** Passes over the rows; nothing stops a fit before. */
  epochs: number;
  /** Tolerance on the renormalised likelihood, for convergence. */
  tol: number;
  seed: number;
  /** Called after each epoch with the mean log-likelihood over it, renormalised. */
  onEpoch?: ((epoch: number, logLikelihood: number) => Promise<void> | void) | undefined;
}

// Looked up once: a global of a sandbox, as tests run in, costs more than the sum that it is for.
const { exp, log, sqrt } = Math;

/** Settings of the training script that the paper's authors published. */
const RATE = 1e-3;
const BATCH = 64;
/** It takes log(w + FLOOR). */
const FLOOR = 1e-10;
/** PyTorch's Adam. */
const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;
/** A responsibility of e⁻²³ or less moves nothing. */
const NEGLIGIBLE = -23;

/**
 * A diagonal mixture as the published script of the paper's authors trains it: minibatches, Adam, means from N(0, 1),
 * log variances from 0, weights from 1/K. Its weights are free numbers that enter as log w and are never normalised;
 * their gradient always points up, so Σw grows with every step and the loss that the script reports as NLL falls by
 * ln Σw without a better density. The mixture returned is renormalised, `weightSum` says what by.
 * @param data row-major [rows, dims]
 * @returns bounds in nats per row, renormalised
 */
export async function fitOfficial(data: Float32Array, dims: number, options: OfficialOptions): Promise<Fit> {
  const { components, epochs, tol, seed } = options;
  const rows = data.length / dims;
  const random = new RandomNumbers(seed).for('official');
  const parameters = initialParameters(components, dims, random);
  const adam = { parameters, step: adamStepper(parameters) };
  const batch = batchGradients(data, dims, components);
  const lowerBounds: number[] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = random.for('order').at(epoch).permutation(rows);
    let total = 0;
    for (let at = 0; at < rows; at += BATCH) {
      const chosen = order.subarray(at, at + BATCH);
      const { logLikelihood, gradients } = batch(parameters, chosen);
      total += logLikelihood - chosen.length * log(weightSum(parameters.weights));
      adam.step(gradients);
    }
    lowerBounds.push(total / rows);
    await options.onEpoch?.(epoch + 1, total / rows);
  }
  const { weights, means, logVariances } = parameters;
  const sum = weightSum(weights);
  return {
    mixture: {
      covarianceType: 'diag',
      components,
      dims,
      means,
      weights: weights.map(weight => (weight + FLOOR) / sum),
      covariances: logVariances.map(exp),
    },
    converged: Math.abs(lowerBounds.at(-1)! - (lowerBounds.at(-2) ?? -Infinity)) < tol,
    iterations: epochs,
    lowerBounds,
    logLikelihood: lowerBounds.at(-1)!,
    restart: 0,
    reseeded: 0,
    falls: 0,
    weightSum: sum,
  };
}

const weightSum = (weights: Float64Array): number => weights.reduce((sum, weight) => sum + weight + FLOOR, 0);

interface Parameters {
  /** [components] */
  weights: Float64Array;
  /** [components, dims] */
  means: Float64Array;
  logVariances: Float64Array;
}

const NAMES = ['weights', 'means', 'logVariances'] as const;

const initialParameters = (components: number, dims: number, random: RandomNumbers): Parameters => ({
  weights: new Float64Array(components).fill(1 / components),
  means: Float64Array.from(random.for('means').normals(components * dims)),
  logVariances: new Float64Array(components * dims),
});

const zerosLike = (parameters: Parameters): Parameters => ({
  weights: new Float64Array(parameters.weights.length),
  means: new Float64Array(parameters.means.length),
  logVariances: new Float64Array(parameters.logVariances.length),
});

function adamStepper(parameters: Parameters): (gradients: Parameters) => void {
  const [first, second] = [zerosLike(parameters), zerosLike(parameters)];
  let t = 0;
  return gradients => {
    t++;
    const [unbias1, unbias2] = [1 - BETA1 ** t, 1 - BETA2 ** t];
    for (const name of NAMES) {
      const [p, g, m, v] = [parameters[name], gradients[name], first[name], second[name]];
      for (let i = 0; i < p.length; i++) {
        m[i] = BETA1 * m[i] + (1 - BETA1) * g[i];
        v[i] = BETA2 * v[i] + (1 - BETA2) * g[i] * g[i];
        p[i] -= (RATE * (m[i] / unbias1)) / (sqrt(v[i] / unbias2) + EPSILON);
      }
    }
  };
}

/** Σ log Σ w N(x) over some rows, and the gradients of minus its mean. The gradients' memory is used again. */
function batchGradients(data: Float32Array, dims: number, components: number) {
  const gradients = zerosLike({
    weights: new Float64Array(components),
    means: new Float64Array(components * dims),
    logVariances: new Float64Array(components * dims),
  });
  const precisions = new Float64Array(components * dims);
  const constants = new Float64Array(components);
  const logs = new Float64Array(components);
  return ({ weights, means, logVariances }: Parameters, rows: Int32Array) => {
    for (const name of NAMES) gradients[name].fill(0);
    for (let k = 0; k < components; k++) {
      let logDeterminant = 0;
      for (let at = k * dims; at < (k + 1) * dims; at++) {
        precisions[at] = exp(-logVariances[at]);
        logDeterminant += logVariances[at];
      }
      constants[k] = log(weights[k] + FLOOR) - 0.5 * (dims * log(2 * Math.PI) + logDeterminant);
    }
    let logLikelihood = 0;
    for (const row of rows) {
      const x = data.subarray(row * dims, (row + 1) * dims);
      for (let k = 0; k < components; k++) logs[k] = constants[k] - 0.5 * distance(x, means, precisions, k * dims);
      const density = logSumExp(logs);
      logLikelihood += density;
      for (let k = 0; k < components; k++) {
        if (logs[k] - density < NEGLIGIBLE) continue;
        const share = exp(logs[k] - density) / rows.length;
        gradients.weights[k] -= share / (weights[k] + FLOOR);
        for (let j = 0, at = k * dims; j < dims; j++, at++) {
          const pull = (x[j] - means[at]) * precisions[at];
          gradients.means[at] -= share * pull;
          gradients.logVariances[at] -= 0.5 * share * (pull * (x[j] - means[at]) - 1);
        }
      }
    }
    return { logLikelihood, gradients };
  };
}

/** Σ (x − μ)² / σ² */
function distance(x: Float32Array, means: Float64Array, precisions: Float64Array, at: number): number {
  let sum = 0;
  for (let j = 0; j < x.length; j++, at++) {
    const difference = x[j] - means[at];
    sum += difference * difference * precisions[at];
  }
  return sum;
}

function logSumExp(logs: Float64Array): number {
  let largest = -Infinity;
  for (const value of logs) if (value > largest) largest = value;
  let sum = 0;
  for (const value of logs) sum += exp(value - largest);
  return largest + log(sum);
}

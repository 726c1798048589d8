import type { RandomNumbers } from '../base/index.js';
import type { Mixture } from '../gmm/index.js';

export interface Planted {
  components: number;
  dims: number;
  /** Standard deviation of the modes' means over that within a mode, both per dimension. */
  separation: number;
  random: RandomNumbers;
}

/**
 * A mixture whose modes are known: equal weights, round components, means drawn at random. Whatever the number of modes
 * and their separation, the mean is zero and the total variance one per dimension, so that losses and likelihoods of two
 * of them compare.
 */
export function plantedMixture({ components, dims, separation, random }: Planted): Mixture {
  const means = Float64Array.from(random.for('means').normals(components * dims));
  for (let j = 0; j < dims; j++) {
    let mean = 0;
    for (let k = 0; k < components; k++) mean += means[k * dims + j] / components;
    for (let k = 0; k < components; k++) means[k * dims + j] -= mean;
  }
  const within = components === 1 ? 1 : 1 / (1 + separation ** 2);
  const between = means.reduce((sum, value) => sum + value * value, 0) / (components * dims);
  const scale = components === 1 ? 0 : Math.sqrt((1 - within) / between);
  return {
    covarianceType: 'spherical',
    components,
    dims,
    weights: new Float64Array(components).fill(1 / components),
    means: means.map(value => value * scale),
    covariances: new Float64Array(components).fill(within),
  };
}

/** Rows of a mixture of round components, and the component of each. [rows, dims] */
export function drawRows(
  { components, dims, weights, means, covariances }: Mixture,
  rows: number,
  random: RandomNumbers,
): { data: Float32Array; labels: Int32Array } {
  const uniforms = random.for('components').uniforms(rows);
  const data = random.for('rows').normals(rows * dims);
  const labels = new Int32Array(rows);
  for (let i = 0; i < rows; i++) {
    let [k, passed] = [0, weights[0]];
    while (k < components - 1 && uniforms[i] >= passed) passed += weights[++k];
    labels[i] = k;
    const std = Math.sqrt(covariances[k]);
    for (let j = 0; j < dims; j++) data[i * dims + j] = means[k * dims + j] + std * data[i * dims + j];
  }
  return { data, labels };
}

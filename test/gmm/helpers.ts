import { RandomNumbers } from '../../src/base/index.js';
import { arrayRows, type RowSource } from '../../src/rows/index.js';
import type { CovarianceType, Mixture } from '../../src/gmm/index.js';

/** A mixture with given means, equal weights and identity covariances times `variance`. */
export function isotropic(means: number[][], variance = 1, covarianceType: CovarianceType = 'full'): Mixture {
  const [components, dims] = [means.length, means[0].length];
  const matrix = Float64Array.from({ length: dims * dims }, (_, i) => (i % (dims + 1) === 0 ? variance : 0));
  const covariances = {
    full: Float64Array.from(means.flatMap(() => Array.from(matrix))),
    tied: matrix,
    diag: new Float64Array(components * dims).fill(variance),
    spherical: new Float64Array(components).fill(variance),
  }[covarianceType];
  return {
    covarianceType,
    components,
    dims,
    weights: new Float64Array(components).fill(1 / components),
    means: Float64Array.from(means.flat()),
    covariances,
  };
}

/** Rows of `modes` Gaussians with different shapes, in random order. */
export function clusteredRows(rows: number, dims: number, modes: number, separation = 4, seed = 1): RowSource {
  const random = new RandomNumbers(seed);
  const centres = random.for('centres').normals(modes * dims);
  const scales = random.for('scales').uniforms(modes * dims);
  const noise = random.for('noise').normals(rows * dims);
  const mode = random.for('modes').integers(rows, modes);
  const data = Float32Array.from(noise, (z, i) => {
    const at = mode[Math.floor(i / dims)] * dims + (i % dims);
    return separation * centres[at] + (0.3 + scales[at]) * z;
  });
  return arrayRows('clusters', data, rows, dims);
}

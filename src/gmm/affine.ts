import { hostMatMul } from '../engine/index.js';
import { COVARIANCES, covarianceMatrix } from './covariance/index.js';
import type { Mixture } from './mixture.js';

/** The mixture of factor · x + offset, coordinate by coordinate, where x is of a mixture; factor and offset [dims]. */
export const scaledMixture = (mixture: Mixture, factor: Float64Array, offset: Float64Array): Mixture => ({
  ...mixture,
  means: mixture.means.map((mean, i) => mean * factor[i % mixture.dims] + offset[i % mixture.dims]),
  ...COVARIANCES[mixture.covarianceType].scaled(mixture, factor),
});

/** The mixture of A x + offset, where x is of a mixture; A [dims, dims], offset [dims]: means A μ + offset, covariances A Σ Aᵀ. */
export function transformedMixture(mixture: Mixture, matrix: Float64Array, offset: Float64Array): Mixture {
  const { components, dims } = mixture;
  const { image, shared } = COVARIANCES[mixture.covarianceType];
  const means = hostMatMul(mixture.means, matrix, { m: components, k: dims, n: dims, transposeB: true });
  const square = { m: dims, k: dims, n: dims };
  const covariances = new Float64Array((shared ? 1 : components) * dims * dims);
  for (let k = 0; k * dims * dims < covariances.length; k++) {
    const half = hostMatMul(matrix, covarianceMatrix(mixture, k), square);
    covariances.set(hostMatMul(half, matrix, { ...square, transposeB: true }), k * dims * dims);
  }
  return { ...mixture, covarianceType: image, means: means.map((mean, i) => mean + offset[i % dims]), covariances };
}

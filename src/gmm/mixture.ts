import type { CovarianceType } from './names.js';

/** A Gaussian mixture, Σ w N(μ, Σ). Arrays are row-major and double precision; the layout is scikit-learn's. */
export interface Mixture {
  covarianceType: CovarianceType;
  components: number;
  dims: number;
  /** [components], summing to one. */
  weights: Float64Array;
  /** [components, dims] */
  means: Float64Array;
  /** full: [components, dims, dims]; tied: [dims, dims]; diag: [components, dims]; spherical: [components]. */
  covariances: Float64Array;
}

const SHAPES: Record<CovarianceType, (k: number, d: number) => number[]> = {
  full: (k, d) => [k, d, d],
  tied: (_, d) => [d, d],
  diag: (k, d) => [k, d],
  spherical: k => [k],
};

export const covarianceShape = (type: CovarianceType, components: number, dims: number): number[] =>
  SHAPES[type](components, dims);

export const covarianceCount = (type: CovarianceType, components: number, dims: number): number =>
  covarianceShape(type, components, dims).reduce((product, side) => product * side, 1);

const FREE: Record<CovarianceType, (k: number, d: number) => number> = {
  full: (k, d) => (k * d * (d + 1)) / 2,
  tied: (_, d) => (d * (d + 1)) / 2,
  diag: (k, d) => k * d,
  spherical: k => k,
};

/** Free parameters as scikit-learn counts them: covariances, means, and weights less one. */
export const parameterCount = ({ covarianceType, components, dims }: Mixture): number =>
  FREE[covarianceType](components, dims) + components * dims + components - 1;

/** One component's covariance as a full matrix [dims, dims]. */
export function covarianceMatrix({ covarianceType, dims, covariances }: Mixture, k: number): Float64Array {
  if (covarianceType === 'full') return covariances.slice(k * dims * dims, (k + 1) * dims * dims);
  if (covarianceType === 'tied') return covariances.slice();
  const matrix = new Float64Array(dims * dims);
  for (let i = 0; i < dims; i++)
    matrix[i * dims + i] = covarianceType === 'diag' ? covariances[k * dims + i] : covariances[k];
  return matrix;
}

/** The diagonal of one component's covariance, [dims]. */
export function variances(mixture: Mixture, k: number): Float64Array {
  const { covarianceType, dims, covariances } = mixture;
  if (covarianceType === 'diag') return covariances.slice(k * dims, (k + 1) * dims);
  if (covarianceType === 'spherical') return new Float64Array(dims).fill(covariances[k]);
  const start = covarianceType === 'full' ? k * dims * dims : 0;
  return Float64Array.from({ length: dims }, (_, i) => covariances[start + i * dims + i]);
}

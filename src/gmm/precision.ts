import { cholesky, NotPositiveDefiniteError, triangularSolve } from '../engine/index.js';
import { EXIT, UserError } from '../base/index.js';
import type { Mixture } from './mixture.js';

/**
 * Upper factors U with precision = U Uᵀ, as scikit-learn's `precisions_cholesky_`: of the covariances' shape.
 * @throws UserError naming the component whose covariance is not positive definite.
 */
export function precisionFactors({ covarianceType, dims, covariances }: Mixture): Float64Array {
  if (covarianceType === 'diag' || covarianceType === 'spherical')
    return covariances.map((variance, i) => {
      if (!(variance > 0)) throw notDefinite(covarianceType === 'diag' ? Math.floor(i / dims) : i);
      return 1 / Math.sqrt(variance);
    });
  const out = new Float64Array(covariances.length);
  const identity = Float64Array.from({ length: dims * dims }, (_, i) => Number(i % (dims + 1) === 0));
  for (let k = 0; k < covariances.length / dims ** 2; k++) {
    const at = k * dims * dims;
    const inverse = triangularSolve(factor(covariances.slice(at, at + dims * dims), dims, k), identity, dims, dims);
    for (let i = 0; i < dims; i++) for (let j = 0; j <= i; j++) out[at + j * dims + i] = inverse[i * dims + j];
  }
  return out;
}

function factor(covariance: Float64Array, dims: number, k: number): Float64Array {
  try {
    return cholesky(covariance, dims);
  } catch (error) {
    throw error instanceof NotPositiveDefiniteError ? notDefinite(k) : error;
  }
}

const notDefinite = (k: number): UserError =>
  new UserError(`the covariance of component ${k} is not positive definite`, EXIT.failed);

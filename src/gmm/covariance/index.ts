import type { Mixture } from '../mixture.js';
import type { CovarianceType } from '../names.js';
import type { Covariance } from './covariance.js';
import { diag } from './diag.js';
import { full } from './full.js';
import { spherical } from './spherical.js';
import { tied } from './tied.js';

export type { TotalScatter, UpdateOptions } from './covariance.js';

export const COVARIANCES: Record<CovarianceType, Covariance> = { full, tied, diag, spherical };

/** Shape of a mixture's `covariances`, scikit-learn's: full [components, dims, dims], tied [dims, dims] and so on. */
export const covarianceShape = (type: CovarianceType, components: number, dims: number): number[] =>
  COVARIANCES[type].shape(components, dims);

/** The number of entries of such covariances. */
export const covarianceCount = (type: CovarianceType, components: number, dims: number): number =>
  covarianceShape(type, components, dims).reduce((product, side) => product * side, 1);

/** The number of covariance entries that belong to one component alone; 0 if all share one covariance. */
export const ownCovarianceCount = ({ covarianceType, covariances, components }: Mixture): number =>
  COVARIANCES[covarianceType].shared ? 0 : covariances.length / components;

/** Free parameters as scikit-learn counts them for BIC and AIC: covariances, means, and weights less one. */
export const parameterCount = ({ covarianceType, components, dims }: Mixture): number =>
  COVARIANCES[covarianceType].parameters(components, dims) + components * dims + components - 1;

/** One component's covariance as a full matrix [dims, dims]. */
export const covarianceMatrix = (mixture: Mixture, k: number): Float64Array =>
  COVARIANCES[mixture.covarianceType].matrix(mixture, k);

/** Applies `f` to every component's covariance matrix [dims, dims]; only once if all share it. */
export function eachCovariance<T>(mixture: Mixture, f: (covariance: Float64Array) => T): T[] {
  const { shared } = COVARIANCES[mixture.covarianceType];
  const made: T[] = [];
  for (let k = 0; k < mixture.components; k++) made.push(shared && k > 0 ? made[0] : f(covarianceMatrix(mixture, k)));
  return made;
}

/** The diagonal of one component's covariance, [dims]. */
export const variances = (mixture: Mixture, k: number): Float64Array =>
  COVARIANCES[mixture.covarianceType].variances(mixture, k);

/**
 * Upper factors U with precision = U Uᵀ, as scikit-learn's `precisions_cholesky_`: of the covariances' shape.
 * @throws UserError naming the component whose covariance is not positive definite.
 */
export const precisionFactors = (mixture: Mixture): Float64Array =>
  COVARIANCES[mixture.covarianceType].precisionFactors(mixture);

/** Approximate multiply-and-adds per iteration for one row and one component near it. */
export const pairOperations = (type: CovarianceType, dims: number): number => COVARIANCES[type].operations(dims);

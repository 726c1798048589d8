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

/** A mixture being fitted, as far as the passes do not read it: what they read lies in the workspace. */
export interface WorkingMixture {
  readonly components: number;
  weights: Float64Array;
  /** [components, dims] */
  means: Float64Array;
  /** Variances as in a `Mixture`; matrices stay in the workspace. */
  variances: Float64Array;
}

/** A model, and those of its components whose covariance is not positive definite or that no row belongs to. */
export interface FitStep {
  model: WorkingMixture;
  collapsed: number[];
}

export { fitMixture, type Fit, type FitOptions, type FitState } from './fit.js';
export { STARTS, type Start } from './kmeans.js';
export {
  COVARIANCE_TYPES,
  covarianceCount,
  covarianceMatrix,
  covarianceShape,
  parameterCount,
  variances,
  type CovarianceType,
  type Mixture,
} from './mixture.js';
export { openWorkspace, planShape, type Workspace, type WorkspaceOptions } from './workspace.js';

export { confusion, mergeTree, type Merge } from './confusion.js';
export { loadMixture, mixtureArrays, mixtureFrom, saveMixture, type FitSummary } from './file.js';
export { fitMixture, type Fit, type FitOptions, type FitState } from './fit.js';
export { diffusionFloor, type FloorOptions } from './floor.js';
export {
  covarianceCount,
  covarianceMatrix,
  covarianceShape,
  parameterCount,
  variances,
  type Mixture,
} from './mixture.js';
export { findModes, type Modes } from './modes.js';
export {
  ALGORITHMS,
  COVARIANCE_TYPES,
  NULLS,
  STARTS,
  type Algorithm,
  type Control,
  type CovarianceType,
  type Start,
} from './names.js';
export { gaussianSurrogate, permuteDimensions } from './nulls.js';
export { fitOfficial, type OfficialOptions } from './official.js';
export { precisionFactors } from './precision.js';
export { logDensities, scoreWorkspace, type Scores } from './score.js';
export { splitHeaviest } from './split.js';
export { componentStatistics, effectiveComponents, type ComponentStatistics } from './statistics.js';
export { fitStepwise, type StepwiseOptions } from './stepwise.js';
export { openWorkspace, planShape, type Workspace, type WorkspaceOptions } from './workspace.js';

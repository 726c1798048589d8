export { scaledMixture, transformedMixture } from './affine.js';
export { confusion, mergeTree, type Merge } from './confusion.js';
export {
  covarianceCount,
  covarianceMatrix,
  covarianceShape,
  pairOperations,
  parameterCount,
  precisionFactors,
  variances,
} from './covariance/index.js';
export { FitError, type FitFault } from './errors.js';
export {
  loadMixture,
  mixtureArrays,
  mixtureFrom,
  saveMixture,
  type FitSummary,
  type MixtureSpace,
  type SavedMixture,
} from './file.js';
export { fitMixture } from './fit.js';
export { diffusionFloor, type FloorOptions } from './floor.js';
export type { Mixture } from './mixture.js';
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
export { openWorkspace, planShape, type WorkspaceOptions } from './open-workspace.js';
export type { Fit, FitOptions, FitState } from './run.js';
export { logDensities, scoreWorkspace, type Scores } from './score.js';
export { splitHeaviest } from './split.js';
export { componentStatistics, effectiveComponents, type ComponentStatistics } from './statistics.js';
export { batchRows, fitStepwise, type StepwiseOptions } from './stepwise.js';
export type { Workspace } from './workspace.js';

export { MODELS, networkConfig, sequenceLength, type LatentShape, type NetworkConfig } from './config.js';
export { CONVENTIONS, guidanceOf, toConvention, toInner, type Convention, type InnerTerms } from './conventions.js';
export {
  errorsByTime,
  frozenRows,
  lossByTime,
  lossesOf,
  meanVariance,
  type FrozenSet,
  type TimeLoss,
} from './frozen.js';
export { initialise } from './initialise.js';
export type { PathName } from './names.js';
export { forward } from './network.js';
export { hiddenStatesAt, OWN_OBJECTIVE, type Objective, type Predictor } from './objective.js';
export { openDiffusion, runNetworkSchema, type Diffusion, type RunNetwork } from './open.js';
export { PATHS } from './paths.js';
export { tokenGrid } from './positions.js';
export { DEFAULT_SAMPLER, samplerCard, type SamplerChoice } from './sampler.js';
export * from './samplers/index.js';
export { sampleLatents, type SamplingPlan } from './sampling.js';
export { isBuffer, isTable, shapes } from './shapes.js';
export {
  automaticTimeShift,
  drawTimes,
  missedShift,
  shiftOf,
  timeGrid,
  timeShiftOf,
  type TrainingTimes,
} from './times.js';
export { PathRuler, type PathMeasures } from './trajectory.js';
export { trainingLoss, type Recipe } from './training.js';

export { MODELS, networkConfig, networkSchema, type LatentShape, type NetworkConfig } from './config.js';
export {
  CONVENTIONS,
  guidanceOf,
  shiftedGrid,
  toConvention,
  toInner,
  type Convention,
  type InnerTerms,
  type SamplingTerms,
} from './conventions.js';
export { binTimes, frozenRows, lossByTime, meanVariance, type FrozenSet, type TimeLoss } from './frozen.js';
export { guidanceFreePrediction } from './gft.js';
export { autoguidance, classifierFree, isGuided, mix, NO_GUIDANCE, type Guidance, type Network } from './guidance.js';
export { initialise } from './initialise.js';
export {
  alignmentLoss,
  directionErrors,
  lossWeight,
  noisyAt,
  squaredErrors,
  targetAt,
  type Weighting,
} from './loss.js';
export { forward, usedChannels, type NetworkInput, type NetworkOutput } from './network.js';
export {
  networkTime,
  objectiveSchema,
  OWN_OBJECTIVE,
  velocityFrom,
  predictAt,
  velocityNetwork,
  type Model,
  type Objective,
} from './objective.js';
export { openDiffusion, runNetworkSchema, type Diffusion, type OpenDiffusionOptions, type RunNetwork } from './open.js';
export { logSnr, noiseRate, PATHS, type PathName, type PathPoint } from './paths.js';
export { dataFromVelocity, scoreFromVelocity, TARGETS, TO_VELOCITY, type PredictionName } from './predictions.js';
export { chooseSampler, DEFAULT_SAMPLER, type SamplerChoice } from './sampler-choice.js';
export * from './samplers/index.js';
export { sampleLatents, type SamplingHooks, type SamplingPlan } from './sampling.js';
export { isBuffer, isTable, shapes } from './shapes.js';
export { drawTimes, shiftTime, TIME_DRAWS, timeGrid, type TimeDistribution } from './times.js';
export { trainingLoss, type DiffusionBatch, type Recipe } from './training.js';
export type { ConventionName, DiffusionForm, SamplerName } from './names.js';

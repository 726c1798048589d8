export { gelu, geluTanh, silu, type Activation } from './activations.js';
export { attend, attention } from './attention.js';
export { BATCH_NORM_MOMENTUM, trainBatchNorm } from './batch-norm.js';
export * from './conv.js';
export { normal, truncatedNormal, uniform, xavierUniform } from './initialise.js';
export { movingAverage, type MovingAverage } from './average.js';
export { differentiable } from './differentiable.js';
export { groupNorm } from './group-norm.js';
export {
  broadcast,
  gatedResidual,
  lastModulatedNorm,
  layerNorm,
  linear,
  modulatedNorm,
  residual,
  splitLast,
} from './layers.js';
export type { LossResult } from './loss.js';
export { mlp, swiGlu } from './mlp.js';
export { adamw, type Optimizer, type StepOptions } from './optimizers.js';
export {
  arraysFrom,
  children,
  paramsFrom,
  prefixed,
  under,
  type Float32Data,
  type HostArray,
  type Params,
} from './params.js';
export { patchify, patchWeight, unpatchify } from './patches.js';
export {
  axialAngles,
  gridPositions,
  initialMixedFrequencies,
  mixedAngles,
  padRotation,
  rotated,
  rotation,
  type Rotation,
} from './rotary.js';
export { loadParams } from './state-dict.js';
export { countParameters, type ModelPreset, type Shapes } from './preset.js';
export { convShapes, linearShapes, normShapes, repeatedShapes } from './shapes.js';
export { channelsFirst, channelsLast } from './layout.js';
export { recomputing } from './recomputing.js';
export { rmsNorm } from './rms-norm.js';
export { roundedOnce } from './rounded.js';
export {
  area,
  bicubic,
  bicubicAntialiased,
  bicubicBy,
  bilinear,
  bilinearAntialiased,
  resample,
  type AxisWeights,
} from './resample.js';
export { through } from './through.js';
export { unit } from './unit.js';

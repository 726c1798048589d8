export { dopri5 } from './dopri5.js';
export { euler } from './euler.js';
export { heun } from './heun.js';
export { midpoint } from './midpoint.js';
export type { OfferedSampler, SamplerSettings } from './offered.js';
export { rk4 } from './rk4.js';
export { sde } from './sde.js';
export type { Sampler, StepReport, VelocityField } from './types.js';

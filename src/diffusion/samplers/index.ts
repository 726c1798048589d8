export { dopri5, type AdaptiveOptions } from './dopri5.js';
export { edmHeun, edmSigmas, type Churn, type Denoiser } from './edm.js';
export { dpmSolver } from './multistep.js';
export { euler, heun, heunThroughout, midpoint, rk4 } from './one-step.js';
export { DIFFUSION_FORMS, sde, type LastStep, type SdeOptions } from './sde.js';
export type { Sampler, SamplerHooks, StepReport, VelocityField } from './types.js';

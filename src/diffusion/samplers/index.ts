export { dopri5 } from './dopri5.js';
export { edmHeun, edmSigmas, type Churn, type Denoiser } from './edm.js';
export { dpmSolver } from './multistep.js';
export { euler, heun, heunThroughout, midpoint, rk4 } from './one-step.js';
export { sde } from './sde.js';
export type { Sampler, StepReport, VelocityField } from './types.js';

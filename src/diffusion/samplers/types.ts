import type { Tensor } from '../../engine/index.js';
/**
 * dx/dt at (x, t), a new tensor; x stays the caller's. `stepStart` is the time at which the step began: what switches
 * on and off in time (guidance) is decided by it, so that all slopes of one step come from one field.
 */
export type VelocityField = (x: Tensor, t: number, stepStart: number) => Tensor;

export interface StepReport {
  /** Steps done, from 1. */
  step: number;
  /** Time reached. */
  t: number;
  /** The state there; the sampler's: read it or `clone` it now. */
  x: Tensor;
}

export interface SamplerHooks {
  /** Called after every step; whatever it throws ends the integration. */
  onStep?: ((report: StepReport) => void | Promise<void>) | undefined;
}

/**
 * Integrates `field` from `x` at times[0] over the given times; the result is the state at the last of them and the
 * caller's. `x` is not modified.
 */
export type Sampler = (
  field: VelocityField,
  x: Tensor,
  times: ArrayLike<number>,
  hooks?: SamplerHooks,
) => Promise<Tensor>;

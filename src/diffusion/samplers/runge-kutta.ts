import type { Tensor } from '../../engine/index.js';
import { march } from './march.js';
import type { Sampler } from './types.js';

/** The state at t + dt, from slopes that `f` gives. */
export type Step = (f: (x: Tensor, t: number) => Tensor, x: Tensor, t: number, dt: number) => Tensor;

/** A Runge–Kutta method; `last` replaces the step that ends the grid. */
export function rungeKutta(step: Step, last: Step = step): Sampler {
  return (field, start, times, hooks) =>
    march(
      start,
      times,
      (x, t, next, i) => {
        const take = i + 2 === times.length ? last : step;
        return take((y, s) => field(y, s, t), x, t, next - t);
      },
      hooks,
    );
}

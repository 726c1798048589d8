import type { Tensor } from '../../engine/index.js';
import { march } from './march.js';
import type { Sampler } from './types.js';

/** The state at t + dt, from slopes that `f` gives. */
type Step = (f: (x: Tensor, t: number) => Tensor, x: Tensor, t: number, dt: number) => Tensor;

const eulerStep: Step = (f, x, t, dt) => x.add(f(x, t).mul(dt));

const heunStep: Step = (f, x, t, dt) => {
  const k1 = f(x, t);
  const k2 = f(x.add(k1.mul(dt)), t + dt);
  return x.add(k1.add(k2).mul(dt / 2));
};

const midpointStep: Step = (f, x, t, dt) => x.add(f(x.add(f(x, t).mul(dt / 2)), t + dt / 2).mul(dt));

/** Kutta's 3/8 rule, which is torchdiffeq's `rk4`. */
const rk4Step: Step = (f, x, t, dt) => {
  const k1 = f(x, t);
  const k2 = f(x.add(k1.mul(dt / 3)), t + dt / 3);
  const k3 = f(x.add(k2.sub(k1.div(3)).mul(dt)), t + (2 * dt) / 3);
  const k4 = f(x.add(k1.sub(k2).add(k3).mul(dt)), t + dt);
  const sum = k1.add(k2.add(k3).mul(3)).add(k4);
  return x.add(sum.mul(dt / 8));
};

/** A Runge–Kutta method; `last` replaces the step that ends the grid. */
function oneStep(step: Step, last: Step = step): Sampler {
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

/** Euler's method: one evaluation a step, order 1. */
export const euler = oneStep(eulerStep);
/** The explicit midpoint method: two evaluations a step, order 2. */
export const midpoint = oneStep(midpointStep);
/** The classical Runge–Kutta method: four evaluations a step, order 4. */
export const rk4 = oneStep(rk4Step);
/** Heun's method throughout, as torchdiffeq's `heun2`. */
export const heunThroughout = oneStep(heunStep);
/** Heun's method with an Euler step at the end (MAETok, REPA): no slope at t = 1, which a network rarely saw. */
export const heun = oneStep(heunStep, eulerStep);

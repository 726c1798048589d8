import { fixedSteps } from './offered.js';
import { rungeKutta, type Step } from './runge-kutta.js';

export const eulerStep: Step = (f, x, t, dt) => x.add(f(x, t).mul(dt));

/** Euler's method: one evaluation a step, order 1. */
export const euler = rungeKutta(eulerStep);
export const offered = fixedSteps(() => euler);

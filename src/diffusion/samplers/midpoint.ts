import { fixedSteps } from './offered.js';
import { rungeKutta } from './runge-kutta.js';

/** The explicit midpoint method: two evaluations a step, order 2. */
export const midpoint = rungeKutta((f, x, t, dt) => x.add(f(x.add(f(x, t).mul(dt / 2)), t + dt / 2).mul(dt)));
export const offered = fixedSteps(() => midpoint);

import { eulerStep } from './euler.js';
import { fixedSteps } from './offered.js';
import { rungeKutta, type Step } from './runge-kutta.js';

export const heunStep: Step = (f, x, t, dt) => {
  const k1 = f(x, t);
  const k2 = f(x.add(k1.mul(dt)), t + dt);
  return x.add(k1.add(k2).mul(dt / 2));
};

/** Heun's method with an Euler step at the end (MAETok, REPA): no slope at t = 1, which a network rarely saw. */
export const heun = rungeKutta(heunStep, eulerStep);
export const offered = fixedSteps(() => heun);

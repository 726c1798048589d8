import { fixedSteps } from './offered.js';
import { rungeKutta } from './runge-kutta.js';

/** Kutta's 3/8 rule, which is torchdiffeq's `rk4`: four evaluations a step, order 4. */
export const rk4 = rungeKutta((f, x, t, dt) => {
  const k1 = f(x, t);
  const k2 = f(x.add(k1.mul(dt / 3)), t + dt / 3);
  const k3 = f(x.add(k2.sub(k1.div(3)).mul(dt)), t + (2 * dt) / 3);
  const k4 = f(x.add(k1.sub(k2).add(k3).mul(dt)), t + dt);
  const sum = k1.add(k2.add(k3).mul(3)).add(k4);
  return x.add(sum.mul(dt / 8));
});
export const offered = fixedSteps(() => rk4);

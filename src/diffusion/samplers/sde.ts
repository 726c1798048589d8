import type { Tensor } from '../../engine/index.js';
import type { DiffusionForm, LastStep } from '../names.js';
import { noiseRate, type PathPoint } from '../paths.js';
import { scoreFromVelocity } from '../predictions.js';
import { shiftedGrid } from '../times.js';
import { march } from './march.js';
import type { OfferedSampler } from './offered.js';
import type { Sampler, VelocityField } from './types.js';

/**
 * How much noise the reverse process adds at t: D in dx = (v + D score) dt + √(2D) dW. Every D ≥ 0 has the same
 * marginals (SiT, §2.4 and its table 3).
 */
const COEFFICIENTS = {
  constant: (_, __, scale) => scale,
  /** That of the forward process: score-based diffusion's own. Infinite at t = 0. */
  sbdm: (_, point, scale) => scale * noiseRate(point),
  sigma: (_, { sigma }, scale) => scale * sigma,
  /** MAETok's and REPA's w = 2 (1 − t), as D = w / 2. */
  linear: (t, _, scale) => scale * (1 - t),
  decreasing: (t, _, scale) => 0.25 * (scale * Math.cos(Math.PI * t) + 1) ** 2,
  'increasing-decreasing': (t, _, scale) => scale * Math.sin(Math.PI * t) ** 2,
} satisfies Record<DiffusionForm, (t: number, point: PathPoint, scale: number) => number>;

export interface SdeOptions {
  path: (t: number) => PathPoint;
  form?: DiffusionForm;
  /** Factor of the diffusion. */
  scale?: number | undefined;
  method?: 'euler' | 'heun';
  /** `mean`: drift without noise; `tweedie`: the expected data; `euler`: the ODE's step. */
  lastStep?: LastStep;
  /** Standard normal numbers shaped like x for a step (from 0); inside a tidy. */
  noise: (step: number) => Tensor;
}

/** Euler–Maruyama, or SiT's stochastic Heun, over all intervals but the last. */
export function sde({
  path,
  form = 'sigma',
  scale = 1,
  method = 'euler',
  lastStep = 'mean',
  noise,
}: SdeOptions): Sampler {
  const diffusionAt = (t: number): number => COEFFICIENTS[form](t, path(t), scale);

  return (field, start, times, hooks) => {
    const drift: VelocityField = (x, t, s) => {
      const v = field(x, t, s);
      const d = diffusionAt(t);
      // At D = 0 the score may be infinite (at t = 1) and is not needed.
      if (d === 0) return v;
      const score = scoreFromVelocity(path(t));
      return v.mul(1 + d * score.output).add(x.mul(d * score.x));
    };
    const noisy = { euler: maruyama, heun: stochasticHeun }[method];
    return march(
      start,
      times,
      (x, t, next, step) => {
        const dt = next - t;
        if (step + 2 === times.length) return lastSteps[lastStep](field, drift, path, x, t, dt);
        return noisy(drift, x, t, dt, noise(step).mul(Math.sqrt(2 * diffusionAt(t) * dt)));
      },
      hooks,
    );
  };
}

/** It takes its steps to `lastStepSize` before the data, and the last one from there. */
export const stochastic = (method: 'euler' | 'heun'): OfferedSampler => ({
  reads: ['steps', 'shift', 'diffusion', 'diffusionScale', 'lastStep', 'lastStepSize'],
  dividesByAlpha: ({ diffusion }) => diffusion === 'sbdm',
  times: ({ steps, shift, lastStepSize }, start, end) =>
    Float64Array.of(...shiftedGrid(steps, start, 1 - lastStepSize, shift), end),
  open: ({ diffusion: form, diffusionScale: scale, lastStep }, path, noise) =>
    sde({ path, form, scale, method, lastStep, noise }),
});

export const offered = stochastic('euler');

function maruyama(drift: VelocityField, x: Tensor, t: number, dt: number, kick: Tensor): Tensor {
  return x.add(drift(x, t, t).mul(dt)).add(kick);
}

function stochasticHeun(drift: VelocityField, x: Tensor, t: number, dt: number, kick: Tensor): Tensor {
  const from = x.add(kick);
  const k1 = drift(from, t, t);
  const k2 = drift(from.add(k1.mul(dt)), t + dt, t);
  return from.add(k1.add(k2).mul(dt / 2));
}

type Last = (
  field: VelocityField,
  drift: VelocityField,
  path: (t: number) => PathPoint,
  x: Tensor,
  t: number,
  dt: number,
) => Tensor;

const lastSteps: Record<LastStep, Last> = {
  mean: (_, drift, __, x, t, dt) => x.add(drift(x, t, t).mul(dt)),
  euler: (field, _, __, x, t, dt) => x.add(field(x, t, t).mul(dt)),
  tweedie: (field, _, path, x, t) => {
    const point = path(t);
    const score = scoreFromVelocity(point);
    const weight = point.sigma ** 2 / point.alpha;
    return field(x, t, t)
      .mul(weight * score.output)
      .add(x.mul(1 / point.alpha + weight * score.x));
  },
};

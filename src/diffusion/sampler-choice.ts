import type { Tensor } from '../engine/index.js';
import { shiftedGrid } from './conventions.js';
import type { DiffusionForm, LastStep, SamplerName } from './names.js';
import type { Objective } from './objective.js';
import { PATHS } from './paths.js';
import { dopri5, dpmSolver, euler, heun, midpoint, rk4, sde, type Sampler } from './samplers/index.js';
import { timeGrid } from './times.js';

export interface SamplerChoice {
  name: SamplerName;
  steps: number;
  /** Time shift; 1 is none. */
  shift: number;
  /** Of dopri5. */
  atol: number;
  rtol: number;
  /** Of the stochastic ones. */
  diffusion: DiffusionForm;
  diffusionScale: number;
  lastStep: LastStep;
  lastStepSize: number;
}

export const DEFAULT_SAMPLER: SamplerChoice = {
  name: 'euler',
  steps: 50,
  shift: 1,
  atol: 1e-6,
  rtol: 1e-3,
  diffusion: 'sigma',
  diffusionScale: 1,
  lastStep: 'mean',
  lastStepSize: 0.04,
};

/** Distance that SiT keeps from an end of the path where what the network predicts, or the score, is undefined. */
const MARGIN = 1e-3;
/** dopri5 chooses its own steps; these are the times at which it reports. */
const REPORTS = 9;

/** A sampler and the times that it is to visit. `noise` gives standard normal numbers for a step. */
export function chooseSampler(
  choice: SamplerChoice,
  objective: Objective,
  noise: (step: number) => Tensor,
): { sampler: Sampler; times: Float64Array } {
  const { name, steps, shift, lastStepSize } = choice;
  const [start, end] = ends(objective, choice);
  if (name === 'sde' || name === 'sde-heun') {
    const noisy = timeGrid(steps, start, 1 - lastStepSize);
    return { sampler: stochastic(choice, objective, noise), times: shiftedGrid(Float64Array.of(...noisy, end), shift) };
  }
  const points = name === 'dopri5' ? REPORTS : steps + 1;
  return { sampler: deterministic(choice, objective), times: shiftedGrid(timeGrid(points, start, end), shift) };
}

function deterministic({ name, atol, rtol }: SamplerChoice, { path }: Objective): Sampler {
  const oneStep: Partial<Record<SamplerName, Sampler>> = { euler, heun, midpoint, rk4 };
  return oneStep[name] ?? (name === 'dpm++' ? dpmSolver(PATHS[path]) : dopri5({ atol, rtol }));
}

function stochastic(choice: SamplerChoice, { path }: Objective, noise: (step: number) => Tensor): Sampler {
  return sde({
    path: PATHS[path],
    form: choice.diffusion,
    scale: choice.diffusionScale,
    method: choice.name === 'sde-heun' ? 'heun' : 'euler',
    lastStep: choice.lastStep,
    noise,
  });
}

/** First and last time: a margin where α or σ is 0 and something is divided by it. */
function ends({ path, prediction }: Objective, { name, diffusion }: SamplerChoice): [number, number] {
  if (path === 'ddpm') return [0, 1];
  const dividesByAlpha = prediction === 'noise' || prediction === 'score' || isSbdm(name, diffusion);
  const dividesBySigma = prediction === 'data' || path === 'vp';
  return [dividesByAlpha && path !== 'vp' ? MARGIN : 0, dividesBySigma ? 1 - MARGIN : 1];
}

const isSbdm = (name: SamplerName, diffusion: DiffusionForm): boolean => name.startsWith('sde') && diffusion === 'sbdm';

import type { Tensor } from '../../engine/index.js';
import type { DiffusionForm, LastStep } from '../names.js';
import type { PathPoint } from '../paths.js';
import { shiftedGrid } from '../times.js';
import type { Sampler } from './types.js';

/** Settings of sampling, each a flag of `maetok sample`. */
export interface SamplerSettings {
  steps: number;
  /** Time shift; 1 is none. */
  shift: number;
  /** Tolerances of samplers that choose their own steps. */
  atol: number;
  rtol: number;
  /** The stochastic samplers' diffusion coefficient and last step. */
  diffusion: DiffusionForm;
  diffusionScale: number;
  lastStep: LastStep;
  lastStepSize: number;
}

/** A sampler as `maetok sample` offers it; each is a file of this folder, and a line of `names.ts`. */
export interface OfferedSampler {
  /** The settings that its samples depend on, as a protocol card lists them. */
  reads: readonly (keyof SamplerSettings | 'batchSize')[];
  /** Whether it divides by α, which is 0 at t = 0. */
  dividesByAlpha?: (settings: SamplerSettings) => boolean;
  /** The times that it visits from `start` to `end`. */
  times(settings: SamplerSettings, start: number, end: number): Float64Array;
  /** `noise` gives standard normal numbers for a step. */
  open(settings: SamplerSettings, path: (t: number) => PathPoint, noise: (step: number) => Tensor): Sampler;
}

/** An offered sampler that takes `steps` equal steps and draws no numbers. */
export const fixedSteps = (open: (path: (t: number) => PathPoint) => Sampler): OfferedSampler => ({
  reads: ['steps', 'shift'],
  times: ({ steps, shift }, start, end) => shiftedGrid(steps + 1, start, end, shift),
  open: (_, path) => open(path),
});

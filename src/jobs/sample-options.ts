import { z } from 'zod';
import { count, list, nonNegative, number, positive } from '../base/schemas.js';
// Not through the room's door, which would wake the engine for --help.
import { CONVENTION_NAMES, DIFFUSION_FORM_NAMES, SAMPLERS } from '../diffusion/names.js';

/** `0.2,0.8` or a YAML list. */
export const interval = list(
  z
    .tuple([number, number], 'must be two numbers, e.g. 0.2,0.8')
    .refine(([low, high]) => low <= high, 'must go from low to high'),
);

/** Flags of `maetok sample`. */
export const sampleOptions = z.object({
  tokenizer: z
    .string()
    .optional()
    .describe('what decodes the latents; default: the tokenizer that made the run’s latents, if it is where it was'),
  imageSize: count
    .optional()
    .describe('side of the pictures; default: as the run’s latents, or what the tokenizer is for'),
  out: z.string().min(1).describe('folder of PNGs, 000000.png and on'),
  num: count.default(16).describe('how many samples'),
  labels: list(z.array(z.string().min(1, 'has an empty word between its commas')))
    .default(['balanced'])
    .describe('balanced: the classes in turn; random: drawn by seed; or classes by name or number, taken in turn'),
  guidance: nonNegative.default(1).describe('w of u + w (c − u); 1 is none'),
  interval: interval.default([0, 1]).describe('times in which guidance acts, t = 0 noise'),
  guidedChannels: count.optional().describe('guide the first channels only; default: all'),
  rescale: nonNegative.max(1).default(0).describe('share of the guided spread brought back to the conditional one'),
  bad: z.string().optional().describe('autoguidance: a run or weights of a worse model to guide away from'),
  convention: z
    .enum(CONVENTION_NAMES)
    .default('own')
    .describe('whose terms --guidance, --interval, --shift and --steps are in (`maetok conventions`)'),
  sampler: z
    .enum(SAMPLERS)
    .default('euler')
    .describe('euler, heun, midpoint, rk4, dpm++ (two-step), dopri5 (adaptive); sde, sde-heun (stochastic)'),
  steps: count.default(50).describe('steps of the sampler (dopri5 chooses its own)'),
  shift: positive.default(1).describe('time shift s t / (1 + (s − 1) t); below 1: more steps near the noise'),
  atol: positive.default(1e-6).describe('absolute tolerance of dopri5'),
  rtol: positive.default(1e-3).describe('relative tolerance of dopri5'),
  diffusion: z.enum(DIFFUSION_FORM_NAMES).default('sigma').describe('noise that the sde samplers add over time'),
  diffusionScale: positive.default(1).describe('factor of that noise'),
  lastStep: z.enum(['mean', 'tweedie', 'euler']).default('mean').describe('last step of the sde samplers'),
  lastStepSize: positive.max(0.5).default(0.04).describe('its size'),
  batchSize: count
    .default(16)
    .describe('samples at a time; changes none (but with dopri5, whose steps suit a whole batch)'),
  npz: z.boolean().default(true).describe('also samples.npz in the layout of ADM’s evaluator'),
  grid: z.string().optional().describe('picture of the first samples: FILE.png; default <out>-grid.png'),
  gridNum: count.default(64).describe('samples in it'),
  trajectory: z.string().optional().describe('what the first samples were heading for along the way: FILE.png'),
  weights: z.enum(['ema', 'raw']).default('ema').describe('the moving average of the weights, or the weights'),
  latents: z
    .string()
    .optional()
    .describe('of published weights: the latents whose mean and deviation they were trained with'),
  heads: count.optional().describe('for published weights: number of attention heads, where it cannot be inferred'),
  resume: z.boolean().default(false).describe('go on with an interrupted folder, or make it larger'),
  force: z.boolean().default(false).describe('replace what is already there'),
});
export type SampleOptions = z.output<typeof sampleOptions>;

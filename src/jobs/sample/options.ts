import { z } from 'zod';
import { explained, namesOf } from '../../base/index.js';
import { count, list, nonNegative, number, positive } from '../../base/options.js';
// Not through the room's door, which would start the engine for --help.
import { CONVENTION_NAMES, DIFFUSION_FORMS, LAST_STEPS, TIME_SHIFTS } from '../../diffusion/names.js';
import { SAMPLERS } from '../../diffusion/samplers/names.js';
import { weights } from '../../io/options.js';
import { latentStatistics } from '../../tokenizers/options.js';

/** `0.2,0.8` or a YAML list. */
export const guidanceInterval = list(
  z
    .tuple([number, number], 'must be two numbers, e.g. 0.2,0.8')
    .refine(([low, high]) => low <= high, 'must go from low to high'),
);

/** Flags of `maetok sample`. */
export const sampleOptions = z.object({
  tokenizer: z
    .string()
    .optional()
    .describe(
      'tokenizer that decodes the latents; default: the one that made the run’s latents, if it is still in the same place',
    ),
  latentStatistics: latentStatistics.describe(
    'statistics that the tokenizer normalises latents with (see extract); default: as the run’s latents were extracted',
  ),
  imageSize: count
    .optional()
    .describe('side of the images; default: that of the run’s latents, or what the tokenizer was made for'),
  out: z.string().min(1).describe('folder for PNGs: 000000.png, 000001.png, …'),
  num: count.default(16).describe('number of samples'),
  labels: list(z.array(z.string().min(1, 'has an empty item between commas')))
    .default(['balanced'])
    .describe(
      'balanced: the classes in turn; equal: each as often as the others, in an order by seed; random: each drawn by seed; or class names or numbers, in turn',
    ),
  guidance: nonNegative.default(1).describe('guidance scale w of u + w (c − u); 1: no guidance'),
  interval: guidanceInterval.default([0, 1]).describe('time interval in which guidance is applied (t = 0 is noise)'),
  guidedChannels: count.optional().describe('guide only the first N channels; default: all'),
  rescale: nonNegative
    .max(1)
    .default(0)
    .describe(
      'guidance rescale: how far the standard deviation of the guided output is brought back to the conditional one (0: not, 1: fully)',
    ),
  internalGuidance: nonNegative
    .optional()
    .describe('scale w of e + w (f − e), away from the early prediction e of a model trained with --early-head'),
  internalInterval: guidanceInterval.optional().describe('time interval of internal guidance; default: everywhere'),
  bad: z.string().optional().describe('autoguidance: a run or weights of a worse model to guide away from'),
  convention: z
    .enum(CONVENTION_NAMES)
    .default('own')
    .describe('convention that --guidance, --interval, --shift and --steps follow (`maetok conventions`)'),
  sampler: z
    .enum(namesOf(SAMPLERS))
    .default('euler')
    .describe(`evaluations a step, or kind: ${explained(SAMPLERS)}`),
  steps: count.default(50).describe('steps of the sampler (dopri5 chooses its own)'),
  shift: z
    .union([z.enum(['run', ...TIME_SHIFTS]), positive])
    .default('run')
    .describe(
      'time shift: run: as the model was trained; auto: of its latents’ size (see train); none; or a number s of s t / (1 + (s − 1) t), in --convention’s time: where t = 0 is noise, below 1 more steps are near noise',
    ),
  atol: positive.default(1e-6).describe('absolute tolerance of dopri5'),
  rtol: positive.default(1e-3).describe('relative tolerance of dopri5'),
  diffusion: z.enum(DIFFUSION_FORMS).default('sigma').describe('diffusion coefficient over time of the sde samplers'),
  diffusionScale: positive.default(1).describe('scale of that coefficient'),
  lastStep: z.enum(LAST_STEPS).default('mean').describe('kind of the last step of the sde samplers'),
  lastStepSize: positive.max(0.5).default(0.04).describe('size of the last step'),
  batchSize: count
    .default(16)
    .describe(
      'samples at a time; does not affect the result, except with dopri5, whose step sizes depend on the whole batch',
    ),
  npz: z.boolean().default(true).describe('also write samples.npz in the layout of ADM’s evaluator'),
  grid: z.string().optional().describe('image grid of the first samples: FILE.png; default <out>-grid.png'),
  gridNum: count.default(64).describe('number of samples in the grid'),
  trajectoryMeasures: z
    .boolean()
    .default(false)
    .describe(
      'measure how straight and how efficient the samples’ paths are: a row a sample in <out>/trajectories.csv, means on stdout; not with sde samplers',
    ),
  trajectory: z.string().optional().describe('predicted data of the first samples at each step: FILE.png'),
  weights,
  latents: z
    .string()
    .optional()
    .describe('for published weights: the latents whose mean and standard deviation they were trained with'),
  heads: count.optional().describe('for published weights: number of attention heads, where it cannot be inferred'),
  resume: z.boolean().default(false).describe('resume an interrupted folder, or add samples to it'),
  force: z.boolean().default(false).describe('replace what is already there'),
});
export type SampleOptions = z.output<typeof sampleOptions>;

import { z } from 'zod';
import { count, nonNegative, number, positive, whole } from '../../../base/options.js';
import {
  DIFFUSION_MODELS,
  FEATURE_NORMALISATIONS,
  PROJECTORS,
  TIME_DISTRIBUTIONS,
  TIME_SHIFTS,
  TRAINED_PATHS,
  TRAINED_PREDICTIONS,
  WEIGHTINGS,
  type TimeDistribution,
} from '../../../diffusion/names.js';
import { namelessDtype } from '../../../io/options.js';

/** Flags of `maetok train sit-… | lightningdit-…`. */
export const diffusionOptions = z.object({
  latents: z
    .string()
    .describe('latents to train on: a folder written by `maetok extract`, LightningDiT’s shards, .npz, .npy'),
  patch: count
    .default(1)
    .describe('patch size: side of the square of latent tokens that becomes one token of the transformer'),
  qkNorm: z.boolean().default(false).describe('normalise queries and keys: more stable, at some cost in quality'),
  headDepth: whole
    .optional()
    .describe(
      'blocks of a wide DDT head after the others, as in RAE, whose latents have more channels than the network is wide: 2 as published; default 0: none',
    ),
  headWidth: count.optional().describe('width of the head; default 2048, or twice the width of a tiny network'),
  headHeads: count.optional().describe('attention heads of the head; default: one for each 128 of its width'),
  path: z.enum(TRAINED_PATHS).default('linear').describe('path from noise (t = 0) to data (t = 1)'),
  prediction: z.enum(TRAINED_PREDICTIONS).default('velocity').describe('what the network predicts'),
  weighting: z
    .enum(WEIGHTINGS)
    .default('none')
    .describe('weighting over time of the error of a noise or data prediction'),
  times: z
    .enum(TIME_DISTRIBUTIONS)
    .optional()
    .describe('how training times are drawn; default uniform for sit, lognormal for lightningdit'),
  timeMean: number
    .optional()
    .describe(
      'lognormal: mean of log(α/σ), the logit of t (t = 0 is noise): below 0 more times near noise; default 0, as SD3',
    ),
  timeStd: positive.optional().describe('lognormal: standard deviation of log(α/σ); default 1'),
  timeShift: z
    .union([z.enum(TIME_SHIFTS), positive])
    .optional()
    .describe(
      'shift of training times by a, t → a t / (1 + (a − 1) t) for t from data to noise, so that a > 1 is towards the noise: auto is √(numbers of a latent / 4096), as RAE trains; default none, as SiT and LightningDiT train',
    ),
  direction: nonNegative
    .optional()
    .describe('weight of 1 − cosine between prediction and target; default 0 for sit, 1 for lightningdit'),
  labelDropout: nonNegative.max(1).default(0.1).describe('fraction of labels dropped, for classifier-free guidance'),
  classes: count.optional().describe('number of classes; default: as many as the latents name or contain'),
  gft: z.boolean().default(false).describe('guidance-free training: the guidance scale is an input of the network'),
  repa: z
    .string()
    .optional()
    .describe(
      'REPA: features of a frozen encoder to align with, in the row order of the latents (extract --tokenizer vit:…, or onnx:…)',
    ),
  repaAfter: count
    .optional()
    .describe('block whose tokens are aligned; default 8, or half the depth of a shallower network'),
  repaProjector: z
    .enum(PROJECTORS)
    .optional()
    .describe(
      'what makes tokens comparable with features: an MLP (default), or iREPA’s 3 × 3 convolution over their grid',
    ),
  repaWidth: count.default(2048).describe('width of the MLP'),
  repaNormalise: z
    .enum(FEATURE_NORMALISATIONS)
    .optional()
    .describe(
      'spatial: (x − γ · mean) / standard deviation of each image’s features over their places, as iREPA does; default none',
    ),
  repaMean: nonNegative.optional().describe('γ, the share of the mean that is taken off; default 0.6'),
  repaWeight: positive.default(0.5).describe('weight of the alignment'),
  earlyHead: count
    .optional()
    .describe(
      'block whose tokens a second last layer predicts from as well, for sample --internal-guidance; RAEv2 has 8 of 28',
    ),
  earlyWeight: positive.optional().describe('weight of that prediction’s loss; default 1'),
  dropNonfinite: z.boolean().default(false).describe('leave out latents that are NaN or infinite'),
  dtype: namelessDtype,
  flips: z.boolean().optional().describe('use the mirrored copies too; default: if the latents have them'),
  split: positive
    .max(0.99)
    .default(0.9)
    .describe('fraction of rows to train on; the rest is held out for the loss curve'),
  evaluationSamples: count
    .default(320)
    .describe('frozen (row, noise, time) triples for each of training and held-out rows'),
  bins: count.default(10).describe('number of bins of t in [0, 1] in which the loss is measured'),
  floor: z
    .string()
    .optional()
    .describe(
      'mixture fitted to these latents (analyze-gmm --no-pca --save-model): loss.csv also reports the excess over its lowest possible loss',
    ),
});

export type DiffusionOptions = z.output<typeof diffusionOptions>;

export const isLightning = (model: string): boolean => model.startsWith('lightningdit');

/** Times, and the mean and deviation that apply to log-normal ones. */
export function timesOf(
  model: string,
  { times, timeMean: mean = 0, timeStd: std = 1 }: Pick<DiffusionOptions, 'times' | 'timeMean' | 'timeStd'>,
): { distribution: TimeDistribution; mean: number; std: number } {
  return { distribution: times ?? (isLightning(model) ? 'lognormal' : 'uniform'), mean, std };
}

const recorded = z.object({
  model: z.enum(DIFFUSION_MODELS),
  options: diffusionOptions.pick({ times: true, timeMean: true, timeStd: true, timeShift: true }),
});

/** For a protocol card, how the run with this config.yaml was trained; undefined where it is none of a diffusion model. */
export function trainedCard(config: Record<string, unknown>): Record<string, unknown> | undefined {
  const outcome = recorded.safeParse(config);
  if (!outcome.success) return undefined;
  const { model, options } = outcome.data;
  const { distribution, mean, std } = timesOf(model, options);
  const normal = distribution === 'lognormal' ? { time_mean: mean, time_std: std } : {};
  return { times: distribution, ...normal, time_shift: options.timeShift ?? 'none' };
}

import type { DistributionMetric } from './metric.js';

/**
 * Comparisons of two sets of images, in the order of the table: what help says of each, and its file, which is loaded
 * when it is used: help needs no engine.
 */
export const METRICS = {
  fid: {
    about: 'Fréchet distance between the features of the two sets',
    load: async () => (await import('./fid.js')).fid,
  },
  sfid: {
    about: 'Fréchet distance on Inception’s spatial features, as in ADM',
    load: async () => (await import('./fid.js')).sfid,
  },
  is: {
    about: 'inception score of the samples: sharp predictions per image, varied ones over all',
    load: async () => (await import('./inception-score.js')).inceptionScore,
  },
  'precision-recall': {
    about: 'fraction of samples near real images, and of real images near samples (3 nearest neighbours)',
    load: async () => (await import('./precision-recall.js')).precisionAndRecall,
  },
  kid: {
    about: 'kernel distance: mean over 100 random subsets of 1,000, unbiased at any number of images',
    load: async () => (await import('./kid.js')).kid,
  },
  mind: {
    about: 'sliced Wasserstein distance of the features (Monge Inception Distance); only where named',
    load: async () => (await import('./mind.js')).mind,
  },
  cmmd: {
    about: 'kernel distance with CMMD’s Gaussian kernel, on the chosen features; only where named',
    load: async () => (await import('./cmmd.js')).cmmd,
  },
} satisfies Record<string, { about: string; load: () => Promise<DistributionMetric> }>;
export type MetricName = keyof typeof METRICS;

/** Measures of a tokenizer by what it does to latents that no set of images has. */
export const LATENT_METRICS = {
  ifid: {
    about: 'Fréchet distance after latents were interpolated with training latents (needs --tokenizer and --latents)',
  },
  equivariance: {
    about: 'whether encoding commutes with turning and scaling images (needs --tokenizer)',
  },
} as const;
export type LatentMetricName = keyof typeof LATENT_METRICS;

/** Measures of sets of samples that are made of several distances. */
export const RATIO_METRICS = {
  fdr: {
    about: 'Fréchet distance over that of --validation, per extractor and their mean (needs --validation)',
  },
} as const;
export type RatioMetricName = keyof typeof RATIO_METRICS;

/** How held-out latents are interpolated with training latents. */
export const INTERPOLATIONS = {
  slerp: 'along the arc, with one of the nearest by cosine',
  linear: 'along the line, with one of the nearest by Euclidean distance',
} as const;
export type InterpolationName = keyof typeof INTERPOLATIONS;

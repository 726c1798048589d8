/* The words of this room, which types, options and help are made of. Nothing here needs an engine. */

/** How much noise the stochastic samplers add over time (`samplers/sde.ts`). */
export const DIFFUSION_FORMS = ['constant', 'sbdm', 'sigma', 'linear', 'decreasing', 'increasing-decreasing'] as const;
export type DiffusionForm = (typeof DIFFUSION_FORMS)[number];

/** Ours first, then the published codes (`conventions.ts`). */
export const CONVENTION_NAMES = ['own', 'maetok', 'sit', 'lightningdit', 'repa', 'rae', 'gft', 'scale-s'] as const;
export type ConventionName = (typeof CONVENTION_NAMES)[number];

/** How the stochastic samplers take the last step, into the data: drift without noise, the expected data, the ODE's step. */
export const LAST_STEPS = ['mean', 'tweedie', 'euler'] as const;
export type LastStep = (typeof LAST_STEPS)[number];

/** Paths from noise to data on which `train` trains; `cosine` is what SiT calls GVP. */
export const TRAINED_PATHS = ['linear', 'cosine'] as const;
/** Those, and the paths of other codes' weights. */
export const PATH_NAMES = [...TRAINED_PATHS, 'vp', 'ddpm'] as const;
export type PathName = (typeof PATH_NAMES)[number];

/** What `train` lets a network predict. */
export const TRAINED_PREDICTIONS = ['velocity', 'noise', 'data'] as const;
/** Those, and what other codes' networks predict. */
export const PREDICTIONS = [...TRAINED_PREDICTIONS, 'score'] as const;
export type PredictionName = (typeof PREDICTIONS)[number];

/** How the squared error of a noise, score or data prediction is weighted over t (SiT, §2.3). */
export const WEIGHTINGS = ['none', 'velocity', 'likelihood'] as const;
export type Weighting = (typeof WEIGHTINGS)[number];

/** Time shifts by word: that of the latents' size, or none. */
export const TIME_SHIFTS = ['auto', 'none'] as const;
export type TimeShift = (typeof TIME_SHIFTS)[number] | number;

/** How training times are drawn. */
export const TIME_DISTRIBUTIONS = ['uniform', 'lognormal'] as const;
export type TimeDistribution = (typeof TIME_DISTRIBUTIONS)[number];

/** How REPA's tokens are made comparable with a frozen encoder's: by three linear layers, or by iREPA's convolution. */
export const PROJECTORS = ['mlp', 'conv'] as const;

/** What is done to a frozen encoder's features before REPA's tokens are aligned with them. */
export const FEATURE_NORMALISATIONS = ['none', 'spatial'] as const;

export const SIT_SIZES = ['tiny', 's', 'b', 'l', 'xl'] as const;
export const LIGHTNING_SIZES = [...SIT_SIZES, '1p0b', '1p6b'] as const;
export type SitSize = (typeof SIT_SIZES)[number];
export type LightningSize = (typeof LIGHTNING_SIZES)[number];

/** Models of `maetok train`, in the order of its help. */
export const DIFFUSION_MODELS = [
  ...SIT_SIZES.map(size => `sit-${size}` as const),
  ...LIGHTNING_SIZES.map(size => `lightningdit-${size}` as const),
];
export type DiffusionModel = (typeof DIFFUSION_MODELS)[number];

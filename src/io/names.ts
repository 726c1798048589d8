/* The words of this room, which types and options are made of. Nothing here needs an engine. */

/** Of a training run: the moving average of the weights, or the weights themselves. */
export const WEIGHTS = ['ema', 'raw'] as const;
export type WeightsName = (typeof WEIGHTS)[number];

/** What is taken of latents that are kept as the moments of a posterior: its mode, or a sample. */
export const POSTERIORS = ['mode', 'sample'] as const;
export type PosteriorName = (typeof POSTERIORS)[number];

/** Types of numbers in which latents and weights are written. */
export const FLOAT_DTYPES = ['float32', 'float16', 'bfloat16'] as const;
export type FloatDType = (typeof FLOAT_DTYPES)[number];

/** The formats of eight bits that PyTorch and safetensors know. Each is a subset of float32. */
export const FLOAT8_DTYPES = [
  'float8_e4m3fn',
  'float8_e5m2',
  'float8_e4m3fnuz',
  'float8_e5m2fnuz',
  'float8_e8m0fnu',
] as const;
export type Float8 = (typeof FLOAT8_DTYPES)[number];

/** Types of numbers that NumPy itself lacks; a library beside it writes their bytes under no name. */
export const NAMELESS_DTYPES = ['bfloat16', ...FLOAT8_DTYPES] as const;
export type NamelessDType = (typeof NAMELESS_DTYPES)[number];

/** What stands in the folder of a training run. */
export const RUN = { config: 'config.yaml', info: 'run.json', checkpoints: 'checkpoints', latest: 'latest' } as const;

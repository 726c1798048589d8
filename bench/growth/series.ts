import type { Inputs } from './inputs.js';

/** A command's cost over one of its dimensions. */
export interface Series {
  command: string;
  dimension: string;
  /** The smallest shows what every run costs. */
  sizes: number[];
  /** The exponent that the algorithm has; where several terms meet, the largest of them. */
  expected: number;
  /** The command's words behind its name, for a size. */
  words: (size: number, inputs: Inputs) => string[];
}

const [TOKENS, CHANNELS] = [16, 4];
const EM = ['--no-pca', '--split', '1', '--start', 'random', '--tol', '0'];

/** Components, dimensions and rows of full covariances: K N D² in every iteration. */
const mixtures = (rows: number, width: number, inputs: Inputs, components: number): string[] => [
  inputs.latents({ rows, tokens: 1, channels: width }),
  ...EM,
  ...['--components', `${components}`, '--max-iter', '10'],
];
/** One Gaussian behind a PCA, which is what takes the time. */
const components = (rows: number, width: number, inputs: Inputs): string[] => [
  inputs.latents({ rows, tokens: 1, channels: width }),
  ...['--split', '1', '--components', '1', '--max-iter', '1', '--dims', '4'],
];
const probed = (rows: number, inputs: Inputs, probe: string): string[] => [
  inputs.latents({ rows, tokens: TOKENS, channels: CHANNELS }),
  ...['--probe', probe],
];
const scenes = (count: number, size = 32): string => `synthetic:scenes?count=${count}&size=${size}`;
const extraction = (images: number, batch: number, inputs: Inputs): string[] => [
  ...['--tokenizer', inputs.tokenizer(), '--data', scenes(images), '--batch-size', `${batch}`, '--out', inputs.fresh()],
];
const training = (steps: number, batch: number, inputs: Inputs, size = 32): string[] => [
  ...['maetok', '--data', scenes(64, size), '--image-size', `${size}`, '--aux', 'none', '--ema', '0'],
  ...['--steps', `${steps}`, '--batch-size', `${batch}`, '--out', inputs.fresh()],
];
const sampling = (num: number, steps: number, inputs: Inputs): string[] => [
  ...[inputs.diffusion(), '--num', `${num}`, '--steps', `${steps}`, '--no-npz', '--out', inputs.fresh()],
];

export const SERIES: Series[] = [
  {
    command: 'analyze-gmm',
    dimension: 'rows',
    sizes: [1000, 50_000, 100_000, 200_000, 400_000],
    expected: 1,
    words: (size, inputs) => mixtures(size, 64, inputs, 32),
  },
  {
    command: 'analyze-gmm',
    dimension: 'dimensions',
    sizes: [4, 64, 128, 256, 512],
    expected: 2,
    words: (size, inputs) => mixtures(50_000, size, inputs, 16),
  },
  {
    command: 'analyze-gmm',
    dimension: 'components',
    sizes: [1, 64, 128, 256, 512],
    expected: 1,
    words: (size, inputs) => mixtures(50_000, 64, inputs, size),
  },
  {
    command: 'analyze-gmm after PCA',
    dimension: 'rows',
    sizes: [500, 32_000, 64_000, 128_000],
    expected: 1,
    words: (size, inputs) => components(size, 512, inputs),
  },
  {
    command: 'analyze-gmm after PCA',
    dimension: 'dimensions',
    sizes: [32, 512, 1024, 2048],
    // Products cost N D², eigenvectors D³.
    expected: 3,
    words: (size, inputs) => components(6000, size, inputs),
  },
  {
    command: 'probe logistic',
    dimension: 'rows',
    sizes: [1000, 16_000, 32_000, 64_000, 128_000],
    expected: 1,
    words: (size, inputs) => probed(size, inputs, 'logistic'),
  },
  {
    command: 'probe knn',
    dimension: 'rows',
    sizes: [1000, 8000, 16_000, 32_000, 64_000],
    expected: 2,
    words: (size, inputs) => probed(size, inputs, 'knn'),
  },
  {
    command: 'diagnose',
    dimension: 'rows',
    sizes: [1000, 16_000, 32_000, 64_000, 128_000],
    expected: 1,
    words: (size, inputs) => [
      inputs.latents({ rows: size, tokens: TOKENS, channels: CHANNELS }),
      ...['--measure', 'spectrum,isotropy,tokens,diffusability'],
    ],
  },
  {
    command: 'umap',
    dimension: 'rows',
    sizes: [500, 4000, 8000, 16_000, 32_000],
    // Neighbours are exact; the layout is linear, of 500 epochs up to 10,000 rows and 200 beyond.
    expected: 2,
    words: (size, inputs) => [
      inputs.latents({ rows: size, tokens: TOKENS, channels: CHANNELS }),
      ...['--sample', `${size}`, '--epochs', '100'],
    ],
  },
  {
    command: 'extract',
    dimension: 'images',
    sizes: [8, 256, 512, 1024, 2048],
    expected: 1,
    words: (size, inputs) => extraction(size, 8, inputs),
  },
  {
    command: 'train',
    dimension: 'steps',
    sizes: [1, 16, 32, 64, 128],
    expected: 1,
    words: (size, inputs) => training(size, 8, inputs),
  },
  {
    command: 'train',
    dimension: 'batch',
    sizes: [1, 16, 32, 64, 128],
    expected: 1,
    words: (size, inputs) => training(16, size, inputs),
  },
  {
    command: 'train',
    dimension: 'tokens per side',
    sizes: [4, 8, 16, 32],
    // Tokens are the square, and attention has the square of those.
    expected: 4,
    words: (size, inputs) => training(4, 2, inputs, 8 * size),
  },
  {
    command: 'sample',
    dimension: 'samples',
    sizes: [1, 64, 128, 256, 512],
    expected: 1,
    words: (size, inputs) => sampling(size, 10, inputs),
  },
  {
    command: 'sample',
    dimension: 'steps',
    sizes: [1, 50, 100, 200, 400],
    expected: 1,
    words: (size, inputs) => sampling(16, size, inputs),
  },
  {
    command: 'diffusion-loss',
    dimension: 'samples',
    sizes: [16, 1024, 2048, 4096, 8192],
    expected: 1,
    words: (size, inputs) => [inputs.diffusion(), '--latents', inputs.encoded(), '--samples', `${size}`],
  },
  {
    command: 'evaluate',
    dimension: 'images',
    sizes: [64, 512, 1024, 2048, 4096],
    expected: 1,
    words: size => [...[scenes(size), '--reference', scenes(size), '--features', 'hog', '--metrics', 'fid']],
  },
];

import { UserError } from '../base/index.js';
import { toBytes } from '../io/index.js';
import { GAUSSIAN_WINDOW, ssim, UNIFORM_WINDOW } from './ssim.js';

/** An image and its reconstruction: [height, width, 3] in [−1, 1]; the reconstruction may leave that range. */
export interface ImagePair {
  height: number;
  width: number;
  truth: Float32Array;
  reconstruction: Float32Array;
}

/** A distance between an image and its reconstruction in one published way of computing it. */
export interface PairMetric {
  name: string;
  variant: string;
  describe: string;
  of(pair: ImagePair): number;
}

const UINT8 = 'uint8';

/** Every published variant, the right one of each name first. */
export const PAIR_METRICS: readonly PairMetric[] = [
  {
    name: 'psnr',
    variant: UINT8,
    describe: 'both images as 8 bits, peak 255 (LightningDiT, DC-AE)',
    of: pair => psnr(meanSquare(toBytes(pair.truth), toBytes(pair.reconstruction)), 255),
  },
  {
    name: 'psnr',
    variant: 'maetok',
    describe: 'reconstruction as 8 bits, original as it is, peak 1',
    of: pair => psnr(meanSquare(unitRange(pair.truth), byteRange(pair.reconstruction)), 1),
  },
  {
    name: 'ssim',
    variant: 'gaussian-uint8',
    describe: 'Gaussian window 11, sigma 1.5, both as 8 bits, range 255 (DC-AE)',
    of: pair => windowed(pair, toBytes(pair.truth), toBytes(pair.reconstruction), GAUSSIAN_WINDOW, 255),
  },
  {
    name: 'ssim',
    variant: 'lightningdit',
    describe: 'the same window on unquantised values clamped to [-1, 1], range 2',
    of: pair => windowed(pair, clamped(pair.truth), clamped(pair.reconstruction), GAUSSIAN_WINDOW, 2),
  },
  {
    name: 'ssim',
    variant: 'skimage',
    describe: 'uniform window 7, sample covariance, reconstruction as 8 bits, range 1',
    of: pair => windowed(pair, unitRange(pair.truth), byteRange(pair.reconstruction), UNIFORM_WINDOW, 1),
  },
  {
    name: 'ssim',
    variant: 'maetok',
    describe:
      'the same with range 2 although values lie in [0, 1], which inflates it: for comparison with published numbers only',
    of: pair => windowed(pair, unitRange(pair.truth), byteRange(pair.reconstruction), UNIFORM_WINDOW, 2),
  },
];

function meanSquare(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum / a.length;
}

/** In decibels; infinite for equal images. */
const psnr = (meanSquareError: number, peak: number): number => 10 * Math.log10(peak ** 2 / meanSquareError);

const unitRange = (values: Float32Array): Float64Array => Float64Array.from(values, x => (x + 1) / 2);
const byteRange = (values: Float32Array): Float64Array => Float64Array.from(toBytes(values), x => x / 255);
const clamped = (values: Float32Array): Float64Array => Float64Array.from(values, x => Math.min(1, Math.max(-1, x)));

function windowed(
  { height, width }: ImagePair,
  truth: ArrayLike<number>,
  reconstruction: ArrayLike<number>,
  window: typeof GAUSSIAN_WINDOW,
  range: number,
): number {
  const side = window.weights.length;
  if (height < side || width < side)
    throw new UserError(`SSIM uses windows of ${side} pixels; images of ${width}×${height} are too small`);
  return ssim(truth, reconstruction, { height, width, window, range });
}

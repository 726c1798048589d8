import { UserError } from '../base/index.js';
import { toBytes } from '../io/index.js';
import { byteRange, clamped, unitRange, type ImagePair, type PairMetric } from './pair.js';
import { GAUSSIAN_WINDOW, ssim, UNIFORM_WINDOW } from './structural-similarity.js';

/** Structural similarity: every published variant, the right one first. */
export const SSIM: readonly PairMetric[] = [
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

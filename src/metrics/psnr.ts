import { toBytes } from '../io/index.js';
import { byteRange, unitRange, type PairMetric } from './pair.js';

/** Peak signal-to-noise ratio, in decibels: every published variant, the right one first. */
export const PSNR: readonly PairMetric[] = [
  {
    name: 'psnr',
    variant: 'uint8',
    describe: 'both images as 8 bits, peak 255 (LightningDiT, DC-AE)',
    of: pair => psnr(meanSquare(toBytes(pair.truth), toBytes(pair.reconstruction)), 255),
  },
  {
    name: 'psnr',
    variant: 'maetok',
    describe: 'reconstruction as 8 bits, original as it is, peak 1',
    of: pair => psnr(meanSquare(unitRange(pair.truth), byteRange(pair.reconstruction)), 1),
  },
];

function meanSquare(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum / a.length;
}

/** In decibels; infinite for equal images. */
const psnr = (meanSquareError: number, peak: number): number => 10 * Math.log10(peak ** 2 / meanSquareError);

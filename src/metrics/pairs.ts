import type { PairMetric } from './pair.js';
import { PSNR } from './psnr.js';
import { SSIM } from './ssim.js';

/** Distances between an image and its reconstruction, in the order of the table; of each name the right variant first. */
export const PAIR_METRICS: readonly PairMetric[] = [...PSNR, ...SSIM];

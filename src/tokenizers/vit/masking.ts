import type { RandomNumbers } from '../../base/index.js';
import { normalCdf, normalQuantile } from '../../statistics/index.js';

/** Share of patches hidden from the encoder: one ratio per batch, from a normal cut to [min, max] around max. */
export interface MaskRatio {
  min: number;
  max: number;
  /** Standard deviation of the uncut normal. */
  std: number;
}

/** The paper's 40 to 60 %, denser towards 60; the mean is 0.505. */
export const PUBLISHED_RATIO: MaskRatio = { min: 0.4, max: 0.6, std: 0.25 };

/** The ratio at quantile u in [0, 1) of its distribution. */
export function maskRatio({ min, max, std }: MaskRatio, u: number): number {
  if (min === max) return min;
  const [low, high] = [normalCdf((min - max) / std), 0.5];
  return Math.min(max, Math.max(min, max + std * normalQuantile(low + u * (high - low))));
}

/** The ratio's range at a step where it falls linearly to nothing over `fade` steps. */
export function fadedRatio(ratio: MaskRatio, step: number, fade: number | undefined): MaskRatio {
  if (fade === undefined) return ratio;
  const left = Math.max(0, 1 - step / fade);
  return { ...ratio, min: ratio.min * left, max: ratio.max * left };
}

/** Hidden patches of every image: ⌈ratio · patches⌉. */
export const maskedCount = (ratio: number, patches: number): number => Math.ceil(ratio * patches);

/**
 * Masks of a batch [n, patches], 1 = hidden: the same number in every image, places drawn for each by itself. A pure
 * function of the stream.
 */
export function randomMasks(random: RandomNumbers, ratio: MaskRatio, n: number, patches: number): Float32Array {
  const [quantile] = random.for('ratio').forBatch().uniforms(1);
  const count = maskedCount(maskRatio(ratio, quantile), patches);
  const masks = new Float32Array(n * patches);
  for (let i = 0; i < n; i++) {
    const order = random.for(`image ${random.firstRow + i}`).permutation(patches);
    for (const place of order.subarray(0, count)) masks[i * patches + place] = 1;
  }
  return masks;
}

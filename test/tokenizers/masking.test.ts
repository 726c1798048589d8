import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RandomNumbers } from '../../src/base/index.js';
import { maskedCount, maskRatio, PUBLISHED_RATIO, randomMasks } from '../../src/tokenizers/vit/masking.js';

describe('masking', () => {
  // Recorded from the authors' distribution (scipy's truncnorm): its quantiles 0, 0.1 … 1 and what they mean for 256.
  const QUANTILES = [
    0.4, 0.42396264148873497, 0.4464066608177875, 0.46767507295926913, 0.4880253844574278, 0.507658654821491,
    0.5267376258964137, 0.5453986437892822, 0.5637599068838375, 0.5819274864905792, 0.6,
  ];
  const COUNTS = [103, 109, 115, 120, 125, 130, 135, 140, 145, 149, 154];

  it('draws its ratio from the published distribution', () => {
    const ratios = QUANTILES.map((_, i) => maskRatio(PUBLISHED_RATIO, i / 10));
    expect(ratios).toBeAllClose(QUANTILES, { rtol: 1e-12 });
    expect(ratios.map(ratio => maskedCount(ratio, 256))).toEqual(COUNTS);
  });

  it('hides the same number in every image, at different places', () => {
    const masks = randomMasks(new RandomNumbers(1), PUBLISHED_RATIO, 3, 64);
    const rows = [0, 1, 2].map(i => masks.subarray(i * 64, (i + 1) * 64));
    const counts = rows.map(row => row.reduce((a, b) => a + b, 0));
    expect(new Set(counts).size).toBe(1);
    expect(rows[0]).not.toEqual(rows[1]);
  });

  it('hides no less than the smallest and no more than the largest share', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(), (patches, seed) => {
        const count = randomMasks(new RandomNumbers(seed), PUBLISHED_RATIO, 1, patches).reduce((a, b) => a + b, 0);
        expect(count).toBeGreaterThanOrEqual(maskedCount(PUBLISHED_RATIO.min, patches));
        expect(count).toBeLessThanOrEqual(maskedCount(PUBLISHED_RATIO.max, patches));
      }),
    );
  });

  it('is the same for the same stream', () => {
    const draw = (): Float32Array => randomMasks(new RandomNumbers(5), PUBLISHED_RATIO, 2, 16);
    expect(draw()).toEqual(draw());
  });

  it('a range of one value is that value', () => {
    expect(maskRatio({ min: 0.5, max: 0.5, std: 0.25 }, 0.3)).toBe(0.5);
  });
});

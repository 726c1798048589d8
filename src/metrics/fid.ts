import { RandomNumbers } from '../base/index.js';
import { alone, gathered, shareOf, type Share } from '../distributed/index.js';
import type { FeatureSet } from '../features/index.js';
import { NORMAL_95 } from '../statistics/index.js';
import { frechetDistanceTo } from './frechet.js';
import {
  addToGaussian,
  emptyGaussian,
  gaussianBuilder,
  momentsOf,
  type FeatureMoments,
  type GaussianBuilder,
} from './gaussian.js';
import type { DistributionMetric } from './metric.js';
import { keep, noRows, together, type KeptRows } from './rows.js';

export interface FrechetState {
  gaussian: GaussianBuilder;
  /** Statistics read from a file instead. */
  known?: FeatureMoments;
  /** Only where an interval is asked for. */
  kept?: KeptRows;
}

const moments = ({ known, gaussian }: FrechetState): FeatureMoments => known ?? momentsOf(gaussian.result());

/** The Fréchet distance on one set of features: FID on `pooled`, sFID on `spatial`. */
function frechetMetric(
  name: string,
  needs: FeatureSet,
  more: Partial<DistributionMetric<FrechetState>> = {},
): DistributionMetric<FrechetState> {
  return {
    name,
    ...more,
    needs,
    sides: 'both',
    init: ({ width, bootstrap }) => ({
      gaussian: gaussianBuilder(width),
      ...(bootstrap > 0 && { kept: noRows(width) }),
    }),
    add: ({ gaussian, kept }, rows) => {
      gaussian.add(rows);
      if (kept) keep(kept, rows);
    },
    known: statistics => ({ gaussian: gaussianBuilder(0), known: statistics }),
    caveat: (_, { images, extractor }) =>
      images < extractor.widths.pooled
        ? `${images} images are fewer than the ${extractor.widths.pooled} features of ${extractor.name}; ` +
          'the Fréchet distance of so few is mostly bias: compare it only at equal numbers of images'
        : undefined,
    value: async (sample, reference, { seed, bootstrap, communicator = alone }) => {
      const distance = frechetDistanceTo(moments(reference!));
      const value = distance(moments(sample));
      const variant = 'unbiased covariances, float64';
      if (!sample.kept || bootstrap === 0) return [{ variant, value }];
      const random = new RandomNumbers(seed, `bootstrap/${name}`);
      const own = resampled(sample.kept, distance, shareOf(communicator, bootstrap), random);
      const std = standardDeviation(await gathered(communicator, own));
      // A replicate has fewer distinct images, which alone raises the distance: the replicates give the standard
      // deviation, not the mean.
      return [{ variant, value, low: value - NORMAL_95 * std, high: value + NORMAL_95 * std, std }];
    },
  };
}

export const fid = frechetMetric('fid', 'pooled', { otherwise: 'fd', ofReconstructions: true, sweep: 'ranks' });
export const sfid = frechetMetric('sfid', 'spatial');

/** Distances of samples drawn with replacement, those of a share of the drawings; the reference stays. */
function resampled(
  kept: KeptRows,
  distance: (sample: FeatureMoments) => number,
  { start, end }: Share,
  random: RandomNumbers,
): Float64Array {
  const rows = together(kept);
  return Float64Array.from({ length: end - start }, (_, i) => {
    const counts = new Float64Array(rows.rows);
    for (const row of random.at(start + i).integers(rows.rows, rows.rows)) counts[row]++;
    const gaussian = emptyGaussian(rows.width);
    addToGaussian(gaussian, rows, counts);
    return distance(momentsOf(gaussian));
  });
}

/** Sample standard deviation. */
function standardDeviation(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1));
}

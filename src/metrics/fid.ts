import { RandomNumbers } from '../base/index.js';
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
    value: (sample, reference, { seed, bootstrap }) => {
      const distance = frechetDistanceTo(moments(reference!));
      const value = distance(moments(sample));
      const variant = 'unbiased covariances, float64';
      if (!sample.kept || bootstrap === 0) return Promise.resolve([{ variant, value }]);
      const std = standardDeviation(
        resampled(sample.kept, distance, bootstrap, new RandomNumbers(seed, `bootstrap/${name}`)),
      );
      // A replicate has fewer distinct images, which alone raises the distance: the replicates give the standard
      // deviation, not the mean.
      return Promise.resolve([{ variant, value, low: value - NORMAL_95 * std, high: value + NORMAL_95 * std, std }]);
    },
  };
}

export const fid = frechetMetric('fid', 'pooled', { otherwise: 'fd', ofReconstructions: true, sweep: 'ranks' });
export const sfid = frechetMetric('sfid', 'spatial');

/** Distances of samples drawn with replacement; the reference stays. */
function resampled(
  kept: KeptRows,
  distance: (sample: FeatureMoments) => number,
  times: number,
  random: RandomNumbers,
): number[] {
  const rows = together(kept);
  return Array.from({ length: times }, (_, i) => {
    const counts = new Float64Array(rows.rows);
    for (const row of random.at(i).integers(rows.rows, rows.rows)) counts[row]++;
    const gaussian = emptyGaussian(rows.width);
    addToGaussian(gaussian, rows, counts);
    return distance(momentsOf(gaussian));
  });
}

/** Sample standard deviation. */
function standardDeviation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1));
}

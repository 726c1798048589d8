import type { Communicator } from '../distributed/index.js';
import type { FeatureExtractor, FeatureSet } from '../features/index.js';
import type { FeatureMoments } from './gaussian.js';
import type { FeatureRows } from './rows.js';

/** One number that a metric reports. */
export interface Score {
  /** `fid`, or `fd` where the features are not those of Inception. */
  metric: string;
  /** Which of several published ways it was computed. */
  variant: string;
  value: number;
  /** 95% interval, where there is one. */
  low?: number;
  high?: number;
  /** Spread over the parts that the value is the mean of. */
  std?: number;
}

export type MetricScore = Omit<Score, 'metric'> & { metric?: string };

/** What a metric may know before the first row. */
export interface MetricContext {
  /** Images on this side. */
  count: number;
  width: number;
  seed: number;
  /** Resamplings for intervals; 0: none, and nothing is kept in memory for them. */
  bootstrap: number;
  /** Directions that features are projected on. */
  directions: number;
  /** Ranks that have the same features and share what is repeated; default one alone. */
  communicator?: Communicator | undefined;
}

/** What scores were measured on, for messages. */
export interface Measured {
  /** The metric's name with these features. */
  name: string;
  images: number;
  extractor: Pick<FeatureExtractor, 'name' | 'widths'>;
}

/**
 * A comparison of two sets of images through their features. `init` and `add` stream over each side; `value` compares.
 * Each is a file of this folder, and a line of `names.ts`.
 */
export interface DistributionMetric<S = unknown> {
  /** Its name on the command line and, with Inception's features, in tables. */
  name: string;
  /** Its name with any other features; absent: it makes sense with Inception's only. */
  otherwise?: string | undefined;
  /** Measured only where it is requested by name. */
  byRequest?: boolean;
  /** Measured of reconstructions unless others are requested. */
  ofReconstructions?: boolean;
  /** Measured and drawn in a sweep unless others are requested; the least value of the one that ranks is the best. */
  sweep?: 'ranks' | 'drawn';
  needs: FeatureSet;
  /** Whether the reference is looked at. */
  sides: 'both' | 'sample';
  init(context: MetricContext): S;
  add(state: S, rows: FeatureRows): void;
  /** Statistics that a file holds, standing for a whole side; absent: the images themselves are needed. */
  known?(moments: FeatureMoments): S;
  /** What readers of these scores should know; said once for sets of equal numbers of images. */
  caveat?(scores: readonly MetricScore[], measured: Measured): string | undefined;
  /** Scores are called after the metric unless they say otherwise. */
  value(sample: S, reference: S | undefined, context: MetricContext): Promise<MetricScore[]>;
}

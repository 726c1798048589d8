import type { FeatureSet } from '../features/index.js';
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
}

/**
 * A comparison of two sets of images through their features. `init` and `add` stream over each side; `value` compares.
 * One file and one line in the registry add a metric.
 */
export interface DistributionMetric<S = unknown> {
  /** Its name on the command line and, with Inception's features, in tables. */
  name: string;
  /** Its name with any other features; absent: it makes sense with Inception's only. */
  otherwise?: string | undefined;
  describe: string;
  needs: FeatureSet;
  /** Whether the reference is looked at. */
  sides: 'both' | 'sample';
  init(context: MetricContext): S;
  add(state: S, rows: FeatureRows): void;
  /** Statistics that a file holds, standing for a whole side; absent: the images themselves are needed. */
  known?(moments: FeatureMoments): S;
  /** Scores are called after the metric unless they say otherwise. */
  value(sample: S, reference: S | undefined, context: MetricContext): Promise<MetricScore[]>;
}

export { frechetDistance } from './frechet.js';
export {
  absorb,
  addToGaussian,
  emptyGaussian,
  gaussianBuilder,
  momentsOf,
  type Gaussian,
  type Moments,
} from './gaussian.js';
export type { DistributionMetric, MetricContext, MetricScore, Score } from './metric.js';
export { PAIR_METRICS } from './pairs.js';
export { METRICS } from './registry.js';
export type { FeatureRows } from './rows.js';

export { departureSums, equivarianceError, ROTATIONS, SCALINGS, type Transformation } from './equivariance.js';
export { frechetDistance } from './frechet.js';
export { gaussianBuilder, momentsOf, type FeatureMoments } from './gaussian.js';
export { drawNeighbour, INTERPOLATION, isCopy, moved, nearestLatents, type TrainingBlock } from './interpolation.js';
export type { DistributionMetric, MetricContext, Score } from './metric.js';
export { PAIR_METRICS } from './pairs.js';
export type { FeatureRows } from './rows.js';
export { openMetrics } from './registry.js';

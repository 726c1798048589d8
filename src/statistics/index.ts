export { NORMAL_95, normalCdf, normalQuantile } from './normal.js';
export { bootstrapMean, bootstrapMeans, percentileInterval } from './bootstrap.js';
export { estimate } from './estimate.js';
export { studentQuantile } from './student.js';
export { wilson } from './wilson.js';
export { partialInterval, partialSpearman } from './partial.js';
export { kendall, permutationTest, spearman, spearmanInterval } from './rank-correlation.js';
export { leastSquares } from './least-squares.js';

export type { RowsFault } from './errors.js';
export { rowMoments } from './moments.js';
export { axesLeftOut, dimensionsFor, explainedShare, fitPca, type Pca } from './pca.js';
export { columnReduction, pcaReduction, reducedRows, type Reduction } from './reduction.js';
export { rowStatistics, type RowStatistics } from './statistics.js';
export { planarStart } from './planar-start.js';

export { RowsError, type RowsFault } from './errors.js';
export { nonFiniteRows, rowMoments, type Moments, type MomentsOptions } from './moments.js';
export {
  axesLeftOut,
  dimensionsFor,
  explainedShare,
  fitPca,
  principalAxes,
  type Dimensions,
  type Pca,
  type PcaOptions,
} from './pca.js';
export { columnReduction, pcaReduction, reducedRows, type Reduction } from './reduction.js';
export { rowStatistics, type RowStatistics } from './statistics.js';
export { leadingSpectrum, type Spectrum } from './spectrum.js';
export { planarStart } from './planar-start.js';

export { alignment } from './alignment.js';
export { mleDimension, twoNn } from './dimension.js';
export { excessKurtosis } from './kurtosis.js';
export { channelSummary, streamedRedundancy, tokenCorrelations, tokenRedundancy, tokenStds } from './moments.js';
export { columnMeans, meanCosine, type RowSample } from './rows.js';
export { calinskiHarabasz, classCentres, daviesBouldin, fisherRatio, silhouette } from './separation.js';
export {
  conditionNumber,
  effectiveRank,
  isoScore,
  numericalRank,
  participationRatio,
  powerLaw,
  stableRank,
} from './spectrum.js';
export { uniformity } from './uniformity.js';
export { latentStatistics } from './latent-statistics.js';

export { alignment, type Alignment } from './alignment.js';
export { mleDimension, twoNn, type NeighbourDistances } from './dimension.js';
export { excessKurtosis } from './kurtosis.js';
export {
  channelSummary,
  streamedRedundancy,
  tokenCorrelations,
  tokenRedundancy,
  tokenStds,
  type ChannelSummary,
  type LatentMoments,
} from './moments.js';
export { columnMeans, meanCosine, type LabelledSample, type Sample } from './rows.js';
export {
  calinskiHarabasz,
  classCentres,
  daviesBouldin,
  fisherRatio,
  silhouette,
  type ClassCentres,
  type FisherRatio,
} from './separation.js';
export {
  conditionNumber,
  effectiveRank,
  isoScore,
  numericalRank,
  participationRatio,
  powerLaw,
  stableRank,
  type PowerLaw,
} from './spectrum.js';
export { kernelDensities, uniformity, type Uniformity } from './uniformity.js';
export { latentStatistics } from './latent-statistics.js';

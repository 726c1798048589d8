export { tokenContrast } from './contrast.js';
export { frequencyEnergy, highFrequencyShare, radialSpectrum, type Grid } from './frequency.js';
export { imageMeans, withForeground, type Masks } from './image-means.js';
export { neighbourConsistency, type MeanDistance } from './neighbour-consistency.js';
export { pairProducts } from './pairs.js';
export { overStandardised, type ChannelScale, type LatentRows } from './pass.js';
export { regionSimilarities } from './regions.js';
export { cells, correlationDecay, localVersusDistant, pixels, type Ruler } from './structure.js';
export { velocityVariance, type VelocityVariance } from './velocity-variance.js';

export type { FeatureExtractor, FeatureSet } from './extractor.js';
export { lpips, openLpips, type Lpips } from './lpips.js';
export { NO_FEATURES, openExtractor } from './open.js';
export { openVit } from './vit.js';

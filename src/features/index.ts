export { efficientNetLite0 } from './efficientnet.js';
export { loadEfficientNet } from './efficientnet-lite0.js';
export type { FeatureExtractor, FeatureSet } from './extractor.js';
export { lpips, lpipsShapes, openLpips, type Lpips } from './lpips.js';
export { NO_FEATURES, openExtractor } from './open.js';

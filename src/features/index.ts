export { efficientNetLite0, type EfficientNetOutput } from './efficientnet.js';
export { loadEfficientNet, openEfficientNet } from './efficientnet-lite0.js';
export type { FeatureExtractor } from './extractor.js';
export { lpips, lpipsActivations, lpipsBetween, lpipsShapes, openLpips, type Lpips } from './lpips.js';
export { featureSystems } from './verify.js';

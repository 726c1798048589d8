export { efficientNetLite0, type EfficientNetOutput } from './efficientnet.js';
export { loadEfficientNet, openEfficientNet } from './efficientnet-lite0.js';
export type { FeatureExtractor, FeatureSet, FeatureTensors } from './extractor.js';
export { lpips, lpipsActivations, lpipsBetween, lpipsShapes, openLpips, type Lpips } from './lpips.js';
export { FEATURE_SPECS, NO_FEATURES, openExtractor } from './open.js';
export { featureSystems } from './verify.js';

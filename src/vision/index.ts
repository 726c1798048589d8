export type { VisionConfig } from './config.js';
export { IMAGENET } from './families.js';
export { finalNorm, imageEmbedding, pooled, visionTokens } from './network.js';
export { openVision, type OpenVisionOptions } from './open.js';
export { preprocessed } from './preprocess.js';
export { readVision, type Vision, type VisionSource } from './read.js';

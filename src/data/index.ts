export { firstReadable, loadBatch, nothingReadable, severalAtOnce, type ImageBatch } from './batch.js';
export { centreCrop } from './crop.js';
export type { ImageDataset } from './dataset.js';
export { exportFolder, exportNpz, without } from './export.js';
export { brokenImages, evenlySpaced, requireOneSize, sizeRange } from './inspect.js';
export type { Augmentation, SplitName } from './names.js';
export { DATA_SPECS, openImages } from './open.js';
export { holdsImages } from './sources/arrays.js';
export { trainingBatches } from './training.js';

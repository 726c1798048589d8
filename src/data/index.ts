export { firstReadable, loadBatch, nothingReadable, severalAtOnce, type ImageBatch } from './batch.js';
export { centreCrop, randomCrop } from './crop.js';
export type { ImageDataset } from './dataset.js';
export { exportFolder, exportNpz, without } from './export.js';
export { brokenPictures, requireOneSize, sizeRange, spread } from './inspect.js';
export { DATA_SPECS, openImages, type Split } from './open.js';
export { holdsImages } from './sources/arrays.js';
export { trainingBatches, type Augmentation } from './training.js';

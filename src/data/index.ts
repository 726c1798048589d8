export {
  firstReadable,
  loadBatch,
  nothingReadable,
  severalAtOnce,
  type ImageBatch,
  type LoadOptions,
} from './batch.js';
export { centreCrop, randomCrop, type CropOptions } from './crop.js';
export type { ImageDataset } from './dataset.js';
export { exportFolder, exportNpz, without, type ExportOptions } from './export.js';
export { brokenPictures, requireOneSize, sizeRange, spread, type BrokenPicture, type SizeRange } from './inspect.js';
export { DATA_SPECS, openImages, type OpenImagesOptions, type Split } from './open.js';
export { holdsImages } from './sources/arrays.js';
export { trainingBatches, type Augmentation, type TrainingBatches, type TrainingBatchOptions } from './training.js';

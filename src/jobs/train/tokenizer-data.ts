import { UserError } from '../../base/index.js';
import {
  evenlySpaced,
  openImages,
  trainingBatches,
  type Augmentation,
  type ImageBatch,
  type ImageDataset,
} from '../../data/index.js';
import type { TrainingImagesOptions } from './tokenizer-options.js';
import type { TrainingRequest } from './trainable.js';

/** The images of a tokenizer's training. */
export interface TrainingImages {
  train: ImageDataset;
  val: ImageDataset;
  augmentation: Augmentation;
  /** Sides between which batches alternate. */
  sizes: number[];
  /** This rank's rows: a pure function of its index; every image of a batch has one size. */
  batch(index: number): Promise<ImageBatch>;
  close(): Promise<void>;
}

/** From this side on images are cropped at random; smaller ones have no room for it. */
const CROPPED_FROM = 64;

/** Images for training at `sizes`, and for evaluations. @throws UserError where no validation image can be read. */
export async function openTrainingImages(
  sizes: number[],
  { options, settings, portion: { rows, after }, log }: TrainingRequest<TrainingImagesOptions>,
): Promise<TrainingImages> {
  const { data, heldOut, imagesKey, labelsKey, exif, alpha, grey16 } = options;
  const reading = { heldOut, imagesKey, labelsKey, exif, alpha, grey16, log };
  const augmentation = options.augmentation ?? (Math.min(...sizes) >= CROPPED_FROM ? 'random-crop' : 'flip');
  const train = await openImages(data, { ...reading, split: 'train' });
  const val = await openImages(data, { ...reading, split: 'val' });
  await requireReadable(val, options.evaluationImages);
  const { batchSize, seed } = settings;
  const buckets = sizes.map((size, bucket) => {
    const afterOf = (own: number): number => {
      let index = after(own * sizes.length + bucket);
      while (index % sizes.length !== bucket) index = after(index);
      return Math.floor(index / sizes.length);
    };
    return trainingBatches(train, { batchSize, rows, after: afterOf, size, augmentation, seed });
  });
  return {
    train,
    val,
    augmentation,
    sizes,
    batch: index => buckets[index % sizes.length].batch(Math.floor(index / sizes.length)),
    close: async () => {
      await Promise.all(buckets.map(bucket => bucket.close()));
      await train.close();
      await val.close();
    },
  };
}

/** Known before the first step, not at the first evaluation. */
async function requireReadable(val: ImageDataset, count: number): Promise<void> {
  for (const index of evenlySpaced(val.count, count)) {
    try {
      await val.read(index);
      return;
    } catch (error) {
      val.reportBroken(index, error);
    }
  }
  throw new UserError(
    `${val.name}: none of the validation images can be read; fix them, or provide others in a val/ folder or by --held-out`,
  );
}

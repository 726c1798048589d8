import { EXIT, UserError } from '../../base/index.js';
import { loadBatch, type ImageBatch, type ImageDataset } from '../../data/index.js';

export interface BatchRange {
  /** Side of the images. */
  size: number;
  batchSize: number;
  /** Default: the first image and one past the last. */
  first?: number;
  end?: number;
}

/** A batch of which at least one image is readable, and one past the last that was tried. */
export interface Loaded extends ImageBatch {
  end: number;
}

export const shapeOf = ({ indices, size }: ImageBatch): [n: number, height: number, width: number, channels: 3] => [
  indices.length,
  size,
  size,
  3,
];

/** A data set's images in order, centre-cropped as ADM does it. @throws UserError when it is interrupted. */
export async function* imageBatches(
  images: ImageDataset,
  { size, batchSize, first = 0, end = images.count }: BatchRange,
  signal: AbortSignal,
): AsyncGenerator<Loaded> {
  for (let start = first; start < end; start += batchSize) {
    if (signal.aborted) throw new UserError('interrupted', EXIT.interrupted);
    const next = Math.min(end, start + batchSize);
    const indices = Array.from({ length: next - start }, (_, i) => start + i);
    const batch = await loadBatch(images, indices, { size, crop: 'center', flip: false });
    if (batch.indices.length > 0) yield { ...batch, end: next };
  }
}

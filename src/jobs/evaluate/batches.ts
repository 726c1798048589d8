import { EXIT, UserError } from '../../base/index.js';
import { loadBatch, tellBroken, type ImageBatch, type ImageDataset } from '../../data/index.js';
import { alone, inTurns, turnsOf } from '../../distributed/index.js';
import type { EvaluateContext } from './rows.js';

export interface BatchRange {
  /** Side of the images. */
  size: number;
  batchSize: number;
  /** Default: the first image and one past the last. */
  first?: number;
  end?: number;
}

/** What was made of a batch. */
export interface Made<T> {
  made: T;
  /** Images of it that are readable, and one past the last that was tried. */
  images: number;
  end: number;
}

export const shapeOf = ({ indices, size }: ImageBatch): [n: number, height: number, width: number, channels: 3] => [
  indices.length,
  size,
  size,
  3,
];

/**
 * What `work` makes of the batches of a data set's images, centre-cropped as ADM does it, in their order. Ranks take turns at
 * the batches, which are those of one process, and all get everything. A batch of which no image is readable is left out.
 * @throws UserError on every rank when one is interrupted.
 */
export async function* overBatches<T>(
  images: ImageDataset,
  { size, batchSize, first = 0, end = images.count }: BatchRange,
  work: (batch: ImageBatch) => Promise<T>,
  { signal, communicator = alone }: Pick<EvaluateContext, 'signal' | 'communicator'>,
): AsyncGenerator<Made<T>, void> {
  async function* own(): AsyncGenerator<Made<T> | undefined, void> {
    for (const batchNumber of turnsOf(communicator, Math.ceil((end - first) / batchSize))) {
      if (signal.aborted) throw new UserError('interrupted', EXIT.interrupted);
      const start = first + batchNumber * batchSize;
      const next = Math.min(end, start + batchSize);
      const indices = Array.from({ length: next - start }, (_, i) => start + i);
      const batch = await loadBatch(images, indices, { size, crop: 'center', flip: false });
      const { length } = batch.indices;
      yield length > 0 ? { made: await work(batch), images: length, end: next } : undefined;
    }
  }
  for await (const made of inTurns(communicator, own())) if (made) yield made;
  await tellBroken(communicator, images);
}

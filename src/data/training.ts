import { RandomNumbers } from '../base/index.js';
import type { RawImage } from '../io/index.js';
import { drawsFor, nothingReadable, severalAtOnce, toBatch, type ImageBatch, type Square } from './batch.js';
import type { CropOptions } from './crop.js';
import { decodeStored, type ImageDataset, type StoredImage } from './dataset.js';
import type { Augmentation } from './names.js';
import { prepare, type PrepareJob } from './prepare.js';

export interface TrainingBatchOptions {
  batchSize: number;
  /** The rows of each batch that are wanted; default: all. */
  rows?: { start: number; end: number };
  /** The index of the batch that is asked for after another; default: the following one. */
  after?: (index: number) => number;
  /** Side of the squares. */
  size: number;
  augmentation: Augmentation;
  seed: number;
  /** Decoded images are kept in memory up to so many bytes; default 512 MiB. */
  cacheBytes?: number;
}

export interface TrainingBatches {
  /** A pure function of its index: each epoch is a permutation by seed, and batches run on from one to the next. */
  batch(index: number): Promise<ImageBatch>;
  close(): Promise<void>;
}

/** Batches being made while the engine is busy with the one before. */
const AHEAD = 2;
const CACHE_BYTES = 512 * 2 ** 20;

/** Endless shuffled batches of a data set. A broken image is replaced by the next readable one. */
export function trainingBatches(dataset: ImageDataset, options: TrainingBatchOptions): TrainingBatches {
  const { batchSize, size, seed, rows = { start: 0, end: batchSize }, after = (index: number) => index + 1 } = options;
  const load = cachedSquares(dataset, options);
  const orders = epochOrders(dataset.count, seed);
  const started = new Map<number, Promise<ImageBatch>>();

  const make = async (index: number): Promise<ImageBatch> => {
    const first = index * batchSize + rows.start;
    const places = Array.from({ length: rows.end - rows.start }, (_, row) => first + row);
    const squares = await severalAtOnce(places, async place => {
      const epoch = Math.floor(place / dataset.count);
      return await load(epoch, orders(epoch)[place % dataset.count]);
    });
    return toBatch(dataset, squares, size);
  };
  const start = (index: number): Promise<ImageBatch> => {
    const batch = started.get(index) ?? make(index);
    started.set(index, batch);
    // The error is reported when the batch is requested; until then it must not end the process.
    batch.catch(() => undefined);
    return batch;
  };
  return {
    batch: async index => {
      const batch = start(index);
      const ahead: number[] = [];
      for (let next = index; ahead.length < AHEAD;) ahead.push((next = after(next)));
      for (const next of ahead) void start(next);
      for (const old of started.keys()) if (!ahead.includes(old)) started.delete(old);
      return await batch;
    },
    close: async () => {
      await Promise.allSettled(started.values());
      started.clear();
    },
  };
}

/** Permutations by epoch; only the newest few are kept. */
function epochOrders(count: number, seed: number): (epoch: number) => Int32Array {
  const kept = new Map<number, Int32Array>();
  return epoch => {
    const order = kept.get(epoch) ?? new RandomNumbers(seed, 'shuffle').at(epoch).permutation(count);
    kept.set(epoch, order);
    for (const old of kept.keys()) if (Math.abs(old - epoch) > 2) kept.delete(old);
    return order;
  };
}

const CROPS: Record<Augmentation, Omit<CropOptions, 'size'>> = {
  none: { crop: 'center', flip: false },
  flip: { crop: 'center', flip: true },
  'random-crop': { crop: 'random', flip: true },
};

type LoadSquare = (epoch: number, index: number) => Promise<Square>;

/** Decodes each image once where that fits in memory; crops and mirrorings are drawn again each epoch. */
function cachedSquares(dataset: ImageDataset, options: TrainingBatchOptions): LoadSquare {
  const { size, seed, cacheBytes = CACHE_BYTES } = options;
  const crop: CropOptions = { size, ...CROPS[options.augmentation] };
  const random = new RandomNumbers(seed, 'augment');
  const kept = new Map<number, RawImage>();
  let room = cacheBytes;

  const keep = (index: number, image: RawImage): RawImage => {
    // Nothing is ever evicted: in a shuffled epoch every image is equally likely to come next.
    if (image.data.byteLength <= room && !kept.has(index)) {
      kept.set(index, image);
      room -= image.data.byteLength;
    }
    return image;
  };
  const source = async (index: number): Promise<StoredImage> => {
    const known = kept.get(index);
    if (known) return known;
    const stored = await dataset.stored(index, size);
    if (crop.crop === 'random') return room > 0 ? keep(index, await decodeStored(stored)) : stored;
    return keep(index, { width: size, height: size, data: await prepare(unmirrored(stored, size)) });
  };
  return async (epoch, first) => {
    for (let tried = 0; tried < dataset.count; tried++) {
      const index = (first + tried) % dataset.count;
      try {
        const draws = drawsFor(crop, random.at(epoch, index));
        return { index, pixels: await prepare({ stored: await source(index), options: crop, draws }) };
      } catch (error) {
        dataset.reportBroken(index, error);
      }
    }
    throw nothingReadable(dataset);
  };
}

function unmirrored(stored: StoredImage, size: number): PrepareJob {
  const options: CropOptions = { size, crop: 'center', flip: false };
  return { stored, options, draws: drawsFor(options, new RandomNumbers(0)) };
}

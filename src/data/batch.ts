import { EXIT, RandomNumbers, UserError } from '../base/index.js';
import type { RawImage } from '../io/index.js';
import { DRAWS, type CropOptions } from './crop.js';
import type { ImageDataset } from './dataset.js';
import { prepare } from './prepare.js';

/** Square images of one size, ready for a network. */
export interface ImageBatch {
  /** [n, size, size, 3], x / 127.5 − 1 of the 8-bit pixels. */
  images: Float32Array;
  size: number;
  /** One label per row, where the data have classes. */
  labels?: Int32Array;
  /** Which image of the data set each row is. */
  indices: Int32Array;
}

export interface LoadBatchOptions extends CropOptions {
  /** Random stream of crops and mirroring; each image has its own substream. */
  random?: RandomNumbers;
  /** Once it is aborted the images are no longer waited for, and its reason is thrown. */
  signal?: AbortSignal;
}

/** One image, decoded and cropped. */
export interface Square {
  index: number;
  /** [size, size, 3] */
  pixels: Uint8Array;
}

/**
 * The images at `indices` as squares of one size. A broken image is left out with a warning (the batch is then
 * shorter; `indices` says which remain), or throws if the data set was opened `strict`.
 */
export async function loadBatch(
  dataset: ImageDataset,
  indices: ArrayLike<number>,
  { random = new RandomNumbers(0, 'load'), signal, ...options }: LoadBatchOptions,
): Promise<ImageBatch> {
  const load = async (index: number): Promise<Square | undefined> => {
    try {
      const draws = drawsFor(options, random.for(String(index)));
      const stored = await dataset.stored(index, options.size);
      return { index, pixels: await prepare({ stored, options, draws }) };
    } catch (error) {
      dataset.reportBroken(index, error);
      return undefined;
    }
  };
  const squares = await severalAtOnce(Array.from(indices), load, signal);
  return toBatch(
    dataset,
    squares.filter(square => square !== undefined),
    options.size,
  );
}

/** Nothing is drawn where nothing is random. */
export const drawsFor = ({ crop, flip }: CropOptions, random: RandomNumbers): Float32Array =>
  crop === 'random' || flip ? random.uniforms(DRAWS) : new Float32Array(DRAWS);

/** Images in flight at once: enough to keep the decoding threads busy, few enough to bound memory. */
const IN_FLIGHT = 16;

/**
 * `work` on every item, some at a time, results in the items' order. The first error ends it, and so does the signal, with
 * its reason: no more items are begun, and those in flight are not waited for.
 */
export async function severalAtOnce<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
  signal?: AbortSignal,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const takeTurns = async (): Promise<void> => {
    while (next < items.length && signal?.aborted !== true) {
      const at = next++;
      results[at] = await work(items[at]);
    }
  };
  const all = Promise.all(Array.from({ length: Math.min(IN_FLIGHT, items.length) }, takeTurns));
  await (signal ? unlessAborted(signal, all) : all);
  return results;
}

async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
  });
  try {
    return await Promise.race([aborted, work]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** x / 255, minus one half, over one half, each rounded to float32 as the published pipelines on PyTorch do it. */
const SCALED = Float32Array.from({ length: 256 }, (_, value) => (Math.fround(value / 255) - 0.5) / 0.5);

export function toBatch(dataset: ImageDataset, rows: Square[], size: number): ImageBatch {
  const length = size * size * 3;
  const images = new Float32Array(rows.length * length);
  rows.forEach(({ pixels }, row) => {
    const start = row * length;
    for (let i = 0; i < length; i++) images[start + i] = SCALED[pixels[i]];
  });
  const indices = Int32Array.from(rows, row => row.index);
  const { labels } = dataset;
  return { images, size, indices, ...(labels && { labels: indices.map(index => labels[index]) }) };
}

/** The error for a data set in which no image can be read. */
export const nothingReadable = ({ name, count }: Pick<ImageDataset, 'name' | 'count'>): UserError =>
  new UserError(
    `${name}: none of its ${count} images can be read; \`maetok data … --check\` reports the reason for each`,
    EXIT.failed,
  );

/** The first readable image; drawn images come at side `wanted`. @throws UserError if none can be read. */
export async function firstReadable(dataset: ImageDataset, wanted?: number): Promise<RawImage> {
  for (let index = 0; index < dataset.count; index++) {
    try {
      return await dataset.read(index, wanted);
    } catch (error) {
      dataset.reportBroken(index, error);
    }
  }
  throw nothingReadable(dataset);
}

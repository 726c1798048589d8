import { EXIT, UserError, type Progress } from '../base/index.js';
import { alone, gatherParts, shareOf, type Communicator, type Share } from '../distributed/index.js';
import { imageSize } from '../io/index.js';
import { nothingReadable, severalAtOnce } from './batch.js';
import type { ImageDataset, StoredImage } from './dataset.js';

export interface SizeRange {
  minWidth: number;
  maxWidth: number;
  minHeight: number;
  maxHeight: number;
  /** Images that were looked at. */
  looked: number;
}

/** How many headers are read, spread evenly over a data set of any size. */
const MOST_LOOKED_AT = 2000;

/**
 * Widths and heights from the images' headers. An image without a readable header is skipped with a warning, or
 * throws if the data set was opened `strict`. @throws UserError if no header can be read.
 */
export async function sizeRange(dataset: ImageDataset): Promise<SizeRange> {
  const sizes = await severalAtOnce(evenlySpaced(dataset.count, MOST_LOOKED_AT), async index => {
    try {
      return await sizeOf(await dataset.stored(index));
    } catch (error) {
      dataset.reportBroken(index, error);
      return undefined;
    }
  });
  const known = sizes.filter(size => size !== undefined);
  if (known.length === 0) throw nothingReadable(dataset);
  const range = (side: 'width' | 'height', best: (...sides: number[]) => number): number =>
    best(...known.map(size => size[side]));
  return {
    minWidth: range('width', Math.min),
    maxWidth: range('width', Math.max),
    minHeight: range('height', Math.min),
    maxHeight: range('height', Math.max),
    looked: known.length,
  };
}

async function sizeOf(stored: StoredImage): Promise<{ width: number; height: number }> {
  if ('data' in stored) return stored;
  return 'path' in stored
    ? await imageSize(stored.path, stored.decoding)
    : await imageSize(stored.bytes, stored.decoding, stored.name);
}

/** At most `most` indices below `count`, evenly spread, the first one included. */
export function evenlySpaced(count: number, most: number): number[] {
  const taken = Math.min(count, most);
  return Array.from({ length: taken }, (_, i) => Math.floor((i * count) / taken));
}

/** The indices from `start` to before `end`. */
export const indicesOf = ({ start, end }: Share): number[] => Array.from({ length: end - start }, (_, i) => start + i);

export interface BrokenImage {
  index: number;
  image: string;
  problem: string;
}

export interface InspectOptions {
  /** Of this rank's share. */
  progress: Progress;
  signal: AbortSignal;
  /** The ranks that share the images; default one alone. */
  communicator?: Communicator | undefined;
}

/** Decodes every image, each rank its share, and returns on all ranks those that cannot be decoded. */
export async function brokenImages(
  dataset: ImageDataset,
  { progress, signal, communicator = alone }: InspectOptions,
): Promise<BrokenImage[]> {
  let done = 0;
  const found = await severalAtOnce(indicesOf(shareOf(communicator, dataset.count)), async index => {
    if (signal.aborted) throw new UserError('interrupted', EXIT.interrupted);
    try {
      await dataset.read(index);
      return undefined;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const image = dataset.imageName(index);
      return { index, image, problem: error.message.replace(`${image}: `, '') };
    } finally {
      progress.update(++done);
    }
  });
  const all = await gatherParts(
    communicator,
    found.filter(image => image !== undefined),
  );
  return all.flat();
}

/** The one size of all images, where no `--size` makes them alike. @throws UserError naming two that differ. */
export function requireOneSize(images: readonly { name: string; width: number; height: number }[]): void {
  const [first, ...others] = images;
  const other = others.find(image => image.width !== first.width || image.height !== first.height);
  if (other)
    throw new UserError(
      `images of different sizes (${first.name} is ${first.width}×${first.height}, ${other.name} ` +
        `${other.width}×${other.height}): give --size to crop all to one`,
    );
}

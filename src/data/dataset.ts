import { messageOf, UserError, type Log } from '../base/index.js';
import { decodeImage, type Decoding, type RawImage } from '../io/index.js';

/** An image as stored by its source: an encoded file or encoded bytes, with how to decode them; or pixels. */
export type StoredImage = EncodedImage | RawImage;

type EncodedImage = ({ path: string } | { name: string; bytes: Uint8Array }) & { decoding?: Decoding };

/** What each kind of data set must provide; `makeDataset` adds the rest. */
export interface ImageSource {
  /** Short name for tables and messages. */
  name: string;
  count: number;
  /** Names of the classes, by label; empty where the images have none. */
  classes: readonly string[];
  /** One label per image. */
  labels?: Int32Array | undefined;
  /** Changes when the images do; see the function that made it for what it covers. */
  digest: string;
  /** Name of an image in messages. */
  imageName(index: number): string;
  /** Drawn images have side `wanted` unless the source fixes it; all other sources ignore it. */
  stored(index: number, wanted?: number): Promise<StoredImage>;
  /** The factors of a drawn image. */
  factors?: ((index: number) => Record<string, string | number>) | undefined;
  close?(): Promise<void>;
}

/** Images by index, with labels where they have some. */
export interface ImageDataset extends Required<Pick<ImageSource, 'close'>>, Omit<ImageSource, 'close'> {
  /** For protocol cards. */
  decoding: Decoding;
  read(index: number, wanted?: number): Promise<RawImage>;
  /** Images that could not be read so far, and why. */
  readonly broken: ReadonlyMap<number, string>;
  /** Warns about an unreadable image, once, and remembers it; if `strict`, rethrows the error. */
  reportBroken(index: number, error: unknown): void;
}

export interface ReadingOptions {
  log: Log;
  /** An unreadable image throws instead of being skipped. */
  strict: boolean;
  decoding: Decoding;
}

/** This many broken images are warned about one by one; the rest are only counted at the end. */
const NAMED = 20;

export function makeDataset(source: ImageSource, { log, strict, decoding }: ReadingOptions): ImageDataset {
  const broken = new Map<number, string>();
  const stored = async (index: number, wanted?: number): Promise<StoredImage> => {
    const image = await source.stored(index, wanted);
    return 'data' in image ? image : { ...image, decoding };
  };
  return {
    ...source,
    decoding,
    broken,
    stored,
    read: async (index, wanted) => await decodeStored(await stored(index, wanted)),
    reportBroken: (index, error) => {
      if (strict || !(error instanceof UserError)) throw error;
      if (!broken.has(index) && broken.size < NAMED) log.warn(`${messageOf(error)}; skipped`);
      broken.set(index, messageOf(error));
    },
    close: async () => {
      if (broken.size > NAMED) log.warn(`${source.name}: ${broken.size} images in total could not be read`);
      const lost = classesLost(source, broken);
      if (lost.length > 0) log.warn(`${source.name}: no image of these classes could be read: ${lost.join(', ')}`);
      await source.close?.();
    },
  };
}

/** Classes that have images, of which all are broken. */
function classesLost({ classes, labels }: ImageSource, broken: ReadonlyMap<number, string>): string[] {
  if (!labels || broken.size === 0) return [];
  const seen = new Set<number>(labels.filter((_, index) => broken.has(index)));
  labels.forEach((label, index) => {
    if (!broken.has(index)) seen.delete(label);
  });
  return [...seen].map(label => classes[label]);
}

export async function decodeStored(stored: StoredImage): Promise<RawImage> {
  if ('data' in stored) return stored;
  return 'path' in stored
    ? await decodeImage(stored.path, stored.decoding)
    : await decodeImage(stored.bytes, stored.decoding, stored.name);
}

/** The images at `indices` of a data set, as a data set. `note` identifies the part in the digest. */
export function subset(whole: ImageDataset, indices: Int32Array, name: string, digest: string): ImageDataset {
  const { labels, factors } = whole;
  const broken = new Map<number, string>();
  return {
    ...whole,
    name,
    digest,
    count: indices.length,
    labels: labels && indices.map(index => labels[index]),
    imageName: index => whole.imageName(indices[index]),
    stored: (index, wanted) => whole.stored(indices[index], wanted),
    read: (index, wanted) => whole.read(indices[index], wanted),
    factors: factors && (index => factors(indices[index])),
    broken,
    reportBroken: (index, error) => {
      whole.reportBroken(indices[index], error);
      broken.set(index, messageOf(error));
    },
  };
}

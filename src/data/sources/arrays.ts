import { basename } from 'node:path';
import { UserError } from '../../base/index.js';
import {
  classesFrom,
  namedClasses,
  openNpy,
  openNpz,
  sha256OfText,
  type Classes,
  type NpyFile,
  type NpzFile,
  type RawImage,
} from '../../io/index.js';
import type { ImageSource } from '../dataset.js';
import { sampledDigest } from './digest.js';
import { keysDigest, type ImageKeys } from './keys.js';

/** Names under which archives keep images and labels: our own, ADM's, Keras's. */
const IMAGES = ['images', 'arr_0', 'x', 'x_train'];
const LABELS = ['labels', 'arr_1', 'y', 'y_train'];

/** Images in one array of a `.npy` file: uint8, [n, height, width, 3], [n, height, width, 1] or [n, height, width]. */
export async function openNpyImages(path: string): Promise<ImageSource> {
  return await arraySource(path, await openNpy(path), undefined, {});
}

/** Images and, where there are some, labels in a `.npz` archive. Stored uncompressed it is read row by row. */
export async function openNpzImages(path: string, keys: ImageKeys): Promise<ImageSource> {
  const npz = await openNpz(path);
  try {
    const has = npz.names.join(', ') || 'nothing';
    const images = keys.images ?? imagesName(npz.names);
    if (images === undefined)
      throw new UserError(`${path}: holds ${has}; images are expected as '${IMAGES[0]}', or say which by --images-key`);
    for (const key of [images, keys.labels])
      if (key !== undefined && !npz.names.includes(key))
        throw new UserError(`${path}: has no array ${key}; it holds ${has}`);
    return await arraySource(
      path,
      await npz.open(images),
      npz,
      { images, labels: keys.labels ?? labelsName(npz.names, images) },
      keysDigest(keys),
    );
  } catch (error) {
    await npz.close();
    throw error;
  }
}

const imagesName = (names: readonly string[]): string | undefined => IMAGES.find(name => names.includes(name));

/** The labels of images under a name of their own are called likewise: `train_images` and `train_labels`, `x` and `y`. */
function labelsName(names: readonly string[], images: string): string | undefined {
  const likewise = [images.replace('image', 'label'), images.replace(/^x/i, x => (x === 'x' ? 'y' : 'Y'))];
  return [...likewise.filter(name => name !== images), ...(IMAGES.includes(images) ? LABELS : [])].find(name =>
    names.includes(name),
  );
}

/** Prefixes of MedMNIST's arrays (`train_images`, `val_labels`, …), by split. */
const SPLIT_PREFIXES: Record<'train' | 'val', string[]> = {
  train: ['train'],
  val: ['val', 'valid', 'validation', 'test'],
};

/** The keys of an archive that holds both splits, as MedMNIST's and Keras's do. */
export async function splitKeys(path: string): Promise<{ train: ImageKeys; val: ImageKeys } | undefined> {
  const npz = await openNpz(path);
  await npz.close();
  const of = (split: 'train' | 'val'): ImageKeys | undefined => {
    const prefix = SPLIT_PREFIXES[split].find(word => npz.names.includes(`${word}_images`));
    return prefix === undefined ? undefined : { images: `${prefix}_images` };
  };
  const [train, val] = [of('train'), of('val')];
  return train && val && imagesName(npz.names) === undefined ? { train, val } : undefined;
}

/** Whether an archive has images, whatever else it has. */
export async function holdsImages(npz: NpzFile): Promise<boolean> {
  const name = imagesName(npz.names);
  if (name === undefined) return false;
  const found = await npz.open(name).catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
  });
  await found?.close();
  return found !== undefined && isImages(found);
}

async function arraySource(
  path: string,
  images: NpyFile,
  npz: NpzFile | undefined,
  keys: ImageKeys,
  digestOfKeys = '',
): Promise<ImageSource> {
  const close = async (): Promise<void> => {
    await images.close();
    await npz?.close();
  };
  try {
    const { count, height, width, channels } = layout(path, images);
    const name = keys.labels;
    const classes = name === undefined ? undefined : classesFrom(`${path}#${name}`, await npz!.readValues(name), count);
    return {
      name: basename(path).replace(/\.np[yz]$/, ''),
      count,
      ...named(classes),
      digest:
        digestOfKeys === '' ? await sampledDigest(path) : sha256OfText((await sampledDigest(path)) + digestOfKeys),
      imageName: index => `${path}: image ${index}`,
      stored: async index => rgb((await images.readRows(index, index + 1)).data as Uint8Array, height, width, channels),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Layout {
  count: number;
  height: number;
  width: number;
  channels: number;
}

function layout(path: string, { shape, dtype }: NpyFile): Layout {
  const [count, height, width, channels = 1] = shape;
  if (!isImages({ shape, dtype })) {
    const advice = dtype === 'uint8' && (shape[1] === 3 || shape[1] === 1) ? '; transpose (0, 2, 3, 1)' : '';
    throw new UserError(
      `${path}: holds ${dtype} [${shape.join(', ')}]; images are expected as uint8 [n, height, width, 3]${advice}`,
    );
  }
  if (count === 0 || height === 0 || width === 0) throw new UserError(`${path}: holds no images`);
  return { count, height, width, channels };
}

const isImages = ({ shape, dtype }: Pick<NpyFile, 'shape' | 'dtype'>): boolean => {
  const { length, 3: channels = 1 } = shape;
  return dtype === 'uint8' && (length === 3 || length === 4) && (channels === 1 || channels === 3);
};

/** Numbers beyond are identifiers, not counts of classes. */
const MOST_CLASSES = 100_000;

/** Where labels come without names, their numbers are the names, from 0 on; of identifiers those that occur. */
export function named(found: Classes | undefined): { classes: string[]; labels?: Int32Array } {
  if (!found) return { classes: [] };
  const { labels, classes } = found;
  if (classes) return { labels, classes };
  const count = 1 + labels.reduce((most, label) => Math.max(most, label), 0);
  if (count > MOST_CLASSES) return namedClasses(found);
  return { labels, classes: Array.from({ length: count }, (_, label) => String(label)) };
}

export function rgb(pixels: Uint8Array, height: number, width: number, channels: number): RawImage {
  if (channels === 3) return { width, height, data: pixels };
  const data = new Uint8Array(pixels.length * 3);
  for (let i = 0; i < pixels.length; i++) data.fill(pixels[i], 3 * i, 3 * i + 3);
  return { width, height, data };
}

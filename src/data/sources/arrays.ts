import { basename } from 'node:path';
import { UserError } from '../../base/index.js';
import { asInt32, openNpy, openNpz, type NdArray, type NpyFile, type NpzFile, type RawImage } from '../../io/index.js';
import type { ImageSource } from '../dataset.js';
import { sampledDigest } from './digest.js';

/** Names under which archives keep pictures and labels: our own, ADM's, Keras's. */
const IMAGES = ['images', 'arr_0', 'x', 'x_train'];
const LABELS = ['labels', 'arr_1', 'y', 'y_train'];

/** Pictures in one array of a `.npy` file: uint8, [n, height, width, 3], [n, height, width, 1] or [n, height, width]. */
export async function openNpyImages(path: string): Promise<ImageSource> {
  return await arraySource(path, await openNpy(path), undefined);
}

/** Pictures and, where there are some, labels in a `.npz` archive. Stored uncompressed it is read row by row. */
export async function openNpzImages(path: string): Promise<ImageSource> {
  const npz = await openNpz(path);
  const images = IMAGES.find(name => npz.names.includes(name));
  if (images === undefined) {
    await npz.close();
    throw new UserError(`${path}: holds ${npz.names.join(', ') || 'nothing'}; pictures are expected as '${IMAGES[0]}'`);
  }
  return await arraySource(path, await npz.open(images), npz);
}

async function arraySource(path: string, images: NpyFile, npz: NpzFile | undefined): Promise<ImageSource> {
  const close = async (): Promise<void> => {
    await images.close();
    await npz?.close();
  };
  try {
    const { count, height, width, channels } = layout(path, images);
    const name = LABELS.find(label => npz?.names.includes(label));
    const labels = name === undefined ? undefined : checkLabels(path, await npz!.read(name), count);
    return {
      name: basename(path).replace(/\.np[yz]$/, ''),
      count,
      ...classNames(labels),
      digest: await sampledDigest(path),
      pictureName: index => `${path}: picture ${index}`,
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
  const isPicture = (shape.length === 3 || shape.length === 4) && (channels === 1 || channels === 3);
  if (dtype !== 'uint8' || !isPicture) {
    const advice = dtype === 'uint8' && (shape[1] === 3 || shape[1] === 1) ? '; transpose (0, 2, 3, 1)' : '';
    throw new UserError(
      `${path}: holds ${dtype} [${shape.join(', ')}]; pictures are expected as uint8 [n, height, width, 3]${advice}`,
    );
  }
  if (count === 0 || height === 0 || width === 0) throw new UserError(`${path}: holds no pictures`);
  return { count, height, width, channels };
}

/** Labels as whole numbers from 0, one per picture. */
export function checkLabels(path: string, array: NdArray, count: number): Int32Array {
  const labels = asInt32(array.data);
  if (!labels || labels.some(label => label < 0))
    throw new UserError(`${path}: labels must be whole numbers from 0, one per picture`);
  if (labels.length !== count)
    throw new UserError(`${path}: holds ${count} pictures and ${labels.length} labels; each picture needs one`);
  return labels;
}

/** Where labels come without names, their numbers are the names. */
export function classNames(labels: Int32Array | undefined): { classes: string[]; labels?: Int32Array } {
  if (!labels) return { classes: [] };
  const count = 1 + labels.reduce((most, label) => Math.max(most, label), 0);
  return { classes: Array.from({ length: count }, (_, label) => String(label)), labels };
}

export function rgb(pixels: Uint8Array, height: number, width: number, channels: number): RawImage {
  if (channels === 3) return { width, height, data: pixels };
  const data = new Uint8Array(pixels.length * 3);
  for (let i = 0; i < pixels.length; i++) data.fill(pixels[i], 3 * i, 3 * i + 3);
  return { width, height, data };
}

import sharp from 'sharp';
import { messageOf, UserError } from '../base/index.js';
import { writeFileAtomic, type AtomicOptions } from './atomic.js';

/** A picture: 8-bit RGB, row-major, channels last. */
export interface RawImage {
  width: number;
  height: number;
  /** [height · width · 3] */
  data: Uint8Array;
}

// Several pictures at once, one thread each: that fills the cores better than several threads on a small picture.
sharp.concurrency(1);

/** File names that are taken for pictures. */
export const isImageName = (name: string): boolean => /\.(jpe?g|png|webp|gif|tiff?|avif|bmp)$/i.test(name);

/**
 * Decodes PNG, JPEG, WebP and what else sharp reads, from a file or from its bytes, as 8-bit RGB: grey is widened to
 * three channels, CMYK converted, the EXIF orientation applied, transparency laid over white. An embedded colour
 * profile is left alone, as Pillow leaves it.
 * @throws UserError where the bytes are no whole picture.
 */
export async function decodeImage(source: string | Uint8Array, name = 'picture'): Promise<RawImage> {
  const label = typeof source === 'string' ? source : name;
  try {
    const { data, info } = await opened(source)
      .autoOrient()
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const pixels = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return { width: info.width, height: info.height, data: info.channels === 3 ? pixels : widened(pixels) };
  } catch (error) {
    throw unreadable(label, error);
  }
}

/** Width and height as `decodeImage` will give them, from the header alone. */
export async function imageSize(
  source: string | Uint8Array,
  name = 'picture',
): Promise<{ width: number; height: number }> {
  try {
    const { autoOrient } = await opened(source).metadata();
    return autoOrient;
  } catch (error) {
    throw unreadable(typeof source === 'string' ? source : name, error);
  }
}

/** A truncated or damaged picture is an error here, never a half-grey picture; a mere oddity of the encoder is not. */
const opened = (source: string | Uint8Array) => sharp(source, { failOn: 'error', ignoreIcc: true });

function unreadable(name: string, error: unknown): UserError {
  const reason = messageOf(error).split('\n')[0];
  return new UserError(`${name}: cannot be read as a picture: ${reason}`, undefined, { cause: error });
}

function widened(grey: Uint8Array): Uint8Array {
  const out = new Uint8Array(grey.length * 3);
  for (let i = 0; i < grey.length; i++) out.fill(grey[i], 3 * i, 3 * i + 3);
  return out;
}

/** The picture as PNG bytes. */
export async function encodePng({ width, height, data }: RawImage): Promise<Uint8Array> {
  return await sharp(data, { raw: { width, height, channels: 3 } })
    .png({ compressionLevel: 6 })
    .toBuffer();
}

/** Writes a PNG, whole or not at all. */
export async function writePng(path: string, image: RawImage, options: AtomicOptions = {}): Promise<void> {
  await writeFileAtomic(path, await encodePng(image), options);
}

/** [-1, 1] → 8 bits as the published samplers do it in float32: clamp(127.5 x + 128, 0, 255), truncated. NaN becomes 0. */
export function toBytes(values: Float32Array): Uint8Array {
  const out = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = Math.fround(Math.fround(127.5 * values[i]) + 128);
    out[i] = value >= 255 ? 255 : value > 0 ? value : 0;
  }
  return out;
}

/** Pictures of one size: [n, height, width, 3], floats in [-1, 1] or bytes. */
export interface ImageStack {
  shape: readonly number[];
  data: Float32Array | Uint8Array;
}

/** The pictures of a stack, one by one. */
export function stackedImages({ shape, data }: ImageStack): RawImage[] {
  const [n, height, width] = shape;
  const bytes = data instanceof Uint8Array ? data : toBytes(data);
  const length = height * width * 3;
  return Array.from({ length: n }, (_, i) => ({ width, height, data: bytes.subarray(i * length, (i + 1) * length) }));
}

export interface GridOptions {
  /** Pictures per row; default: as near to a square as fits. */
  columns?: number;
  /** White pixels between pictures; default 2. */
  gap?: number;
}

/** Pictures side by side, row by row. Each cell has the size of the largest; smaller ones stand in its upper left. */
export function imageGrid(
  images: RawImage[],
  { columns = Math.ceil(Math.sqrt(images.length)), gap = 2 }: GridOptions = {},
): RawImage {
  const across = Math.min(columns, images.length);
  const down = Math.ceil(images.length / across);
  const cellWidth = Math.max(...images.map(image => image.width)) + gap;
  const cellHeight = Math.max(...images.map(image => image.height)) + gap;
  const width = across * cellWidth - gap;
  const height = down * cellHeight - gap;
  const data = new Uint8Array(width * height * 3).fill(255);
  images.forEach((image, i) => {
    const left = (i % across) * cellWidth;
    const top = Math.floor(i / across) * cellHeight;
    for (let y = 0; y < image.height; y++) {
      const row = image.data.subarray(y * image.width * 3, (y + 1) * image.width * 3);
      data.set(row, ((top + y) * width + left) * 3);
    }
  });
  return { width, height, data };
}

/** Writes pictures of one size as one PNG. */
export async function writeImageGrid(
  path: string,
  stack: ImageStack,
  options: GridOptions & AtomicOptions = {},
): Promise<void> {
  await writePng(path, imageGrid(stackedImages(stack), options), options);
}

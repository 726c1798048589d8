import { writeFileAtomic, type AtomicOptions } from './atomic.js';
import { sharp } from './sharp.js';

/** A image: 8-bit RGB, row-major, channels last. */
export interface RawImage {
  width: number;
  height: number;
  /** [height · width · 3] */
  data: Uint8Array;
}

/** The image as PNG bytes. */
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

/** Images of one size: [n, height, width, 3], floats in [-1, 1] or bytes. */
export interface ImageStack {
  shape: readonly number[];
  data: Float32Array | Uint8Array;
}

/** The images of a stack, one by one. */
export function stackedImages({ shape, data }: ImageStack): RawImage[] {
  const [n, height, width] = shape;
  const bytes = data instanceof Uint8Array ? data : toBytes(data);
  const length = height * width * 3;
  return Array.from({ length: n }, (_, i) => ({ width, height, data: bytes.subarray(i * length, (i + 1) * length) }));
}

export interface GridOptions {
  /** Images per row; default: as near to a square as fits. */
  columns?: number;
  /** White pixels between images; default 2. */
  gap?: number;
}

/** Images side by side, row by row. Each cell has the size of the largest; smaller ones stand in its upper left. */
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

/** Writes images of one size as one PNG. */
export async function writeImageGrid(
  path: string,
  stack: ImageStack,
  options: GridOptions & AtomicOptions = {},
): Promise<void> {
  await writePng(path, imageGrid(stackedImages(stack), options), options);
}

/**
 * The images of a grid of square images that `imageGrid` made with at most `columns` in a row, in its order; cells that
 * no image fills are white. Undefined where the picture is no such grid.
 */
export function imagesOfGrid(
  grid: RawImage,
  { columns, gap = 2 }: { columns: number; gap?: number },
): RawImage[] | undefined {
  for (let across = columns; across >= 1; across--) {
    const cell = (grid.width + gap) / across;
    if (!Number.isInteger(cell) || (grid.height + gap) % cell !== 0 || !isSeparated(grid, cell, gap)) continue;
    const down = (grid.height + gap) / cell;
    return Array.from({ length: across * down }, (_, i) =>
      cut(grid, { left: (i % across) * cell, top: Math.floor(i / across) * cell, side: cell - gap }),
    );
  }
  return undefined;
}

/** Whether all pixels between cells are white. */
function isSeparated({ width, height, data }: RawImage, cell: number, gap: number): boolean {
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (x % cell < cell - gap && y % cell < cell - gap) continue;
      const at = 3 * (y * width + x);
      if (data[at] !== 255 || data[at + 1] !== 255 || data[at + 2] !== 255) return false;
    }
  }
  return true;
}

function cut({ width, data }: RawImage, { left, top, side }: { left: number; top: number; side: number }): RawImage {
  const out = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y++) {
    const start = ((top + y) * width + left) * 3;
    out.set(data.subarray(start, start + side * 3), y * side * 3);
  }
  return { width: side, height: side, data: out };
}

/** The image as WebP bytes, whose losses do not show at this quality: a fifth of a PNG. */
export async function encodeWebp({ width, height, data }: RawImage): Promise<Uint8Array> {
  return await sharp(data, { raw: { width, height, channels: 3 } })
    .webp({ quality: 90 })
    .toBuffer();
}

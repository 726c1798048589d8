import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { messageOf, UserError } from '../../base/index.js';
import { classesFrom, elementCount, type Classes } from '../../io/index.js';
import type { ImageSource } from '../dataset.js';
import { named, rgb } from './arrays.js';
import { sampledDigest } from './digest.js';

const unzip = promisify<Uint8Array, Buffer>(gunzip);
const IMAGE_FILE = /images[-.]idx[34]-ubyte(\.gz)?$/;

/** `train-images-idx3-ubyte(.gz)` and its like. */
export const isIdxImages = (name: string): boolean => IMAGE_FILE.test(name);

/**
 * Images in MNIST's idx format, gzipped or not, held in memory; their labels are looked for beside them
 * (`…-images-idx3-ubyte` → `…-labels-idx1-ubyte`).
 */
export async function openIdx(path: string): Promise<ImageSource> {
  const { shape, data } = await readIdx(path);
  const [count, height, width, channels = 1] = shape;
  if (shape.length < 3 || shape.length > 4 || (channels !== 1 && channels !== 3) || elementCount(shape) === 0)
    throw new UserError(`${path}: holds [${shape.join(', ')}]; images are expected as [n, height, width]`);
  const length = height * width * channels;
  return {
    name: basename(path).replace(/-?images[-.]idx.*$/, '') || basename(dirname(path)),
    count,
    ...named(await labelsBeside(path, count)),
    digest: await sampledDigest(path),
    imageName: index => `${path}: image ${index}`,
    stored: index => Promise.resolve(rgb(data.slice(index * length, (index + 1) * length), height, width, channels)),
  };
}

async function labelsBeside(path: string, count: number): Promise<Classes | undefined> {
  const plain = basename(path)
    .replace(/\.gz$/, '')
    .replace('images', 'labels')
    .replace(/idx[34]/, 'idx1');
  const found = [plain, `${plain}.gz`].map(name => join(dirname(path), name)).find(existsSync);
  if (found === undefined) return undefined;
  const { shape, data } = await readIdx(found);
  return classesFrom(found, { shape, dtype: 'uint8', data }, count);
}

/** Two zero bytes, the type (8: unsigned byte), the number of dimensions, their sizes big-endian, the numbers. */
async function readIdx(path: string): Promise<{ shape: number[]; data: Uint8Array }> {
  const raw = await readFile(path);
  // By content: browsers unpack what they download and keep its name.
  const isGzipped = raw[0] === 0x1f && raw[1] === 0x8b;
  const bytes = isGzipped
    ? await unzip(raw).catch((error: unknown) => {
        throw new UserError(`${path}: cannot be unpacked (${messageOf(error)}); download it again`);
      })
    : raw;
  const rank = bytes.length >= 4 ? bytes[3] : 0;
  const start = 4 + 4 * rank;
  if (bytes.length < start || rank === 0 || bytes.readUInt16BE(0) !== 0 || bytes[2] !== 8)
    throw new UserError(`${path}: is not an idx file of unsigned bytes`);
  const shape = Array.from({ length: rank }, (_, axis) => bytes.readUInt32BE(4 + 4 * axis));
  if (bytes.length < start + elementCount(shape))
    throw new UserError(
      `${path}: is truncated: [${shape.join(', ')}] needs ${elementCount(shape)} bytes, ${bytes.length - start} follow`,
    );
  return { shape, data: bytes.subarray(start, start + elementCount(shape)) };
}

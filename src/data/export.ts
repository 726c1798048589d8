import { existsSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { stringify } from 'csv-stringify/sync';
import { EXIT, UserError, VERSION, type Progress } from '../base/index.js';
import { alone, byFirst, shareOf, sumOf, type Communicator } from '../distributed/index.js';
import {
  encodePng,
  holdFolder,
  makeFolder,
  refuseExisting,
  sha256OfText,
  writeNpz,
  type NdArray,
  type RawImage,
  type TypedArray,
} from '../io/index.js';
import { firstReadable, nothingReadable, severalAtOnce } from './batch.js';
import { tellBroken } from './broken.js';
import { centreCrop } from './crop.js';
import { subset, type ImageDataset } from './dataset.js';
import { indicesOf, requireOneSize } from './inspect.js';
import { throughFirst } from './through-first.js';

export interface ExportOptions {
  /** Centre crop to this side; absent: as they are. */
  size?: number | undefined;
  force: boolean;
  signal: AbortSignal;
  /** Of this rank's share. */
  progress: Progress;
  /** The ranks that share the images; default one alone. What is written does not depend on their number. */
  communicator?: Communicator | undefined;
}

const BATCH = 256;
const CARD = 'dataset.json';

/** This rank's images of a data set in its order, cropped; broken ones are left out. */
async function* readableImages(
  dataset: ImageDataset,
  { size, signal, progress, communicator = alone }: ExportOptions,
): AsyncGenerator<{ index: number; image: RawImage }[]> {
  const share = shareOf(communicator, dataset.count);
  for (let start = share.start; start < share.end; start += BATCH) {
    if (signal.aborted) throw new UserError('interrupted; nothing was written', EXIT.interrupted);
    const end = Math.min(start + BATCH, share.end);
    const images = await severalAtOnce(indicesOf({ start, end }), async index => {
      try {
        const image = await dataset.read(index, size);
        return { index, image: size === undefined ? image : centreCrop(image, size) };
      } catch (error) {
        dataset.reportBroken(index, error);
        return undefined;
      }
    });
    yield images.filter(image => image !== undefined);
    progress.update(end - share.start);
  }
}

/**
 * Writes `images` (uint8 [n, height, width, 3]) and, where there are classes, `labels` (int64 [n]) as `numpy.savez`
 * would. All images must be readable (`without` sees to that) and of one size.
 */
export async function exportNpz(dataset: ImageDataset, path: string, options: ExportOptions): Promise<void> {
  const { communicator = alone, size, force } = options;
  await byFirst(communicator, () => refuseExisting(path, force));
  const { width, height } = size === undefined ? await firstReadable(dataset) : { width: size, height: size };
  const { labels } = dataset;
  const labelArray: NdArray | undefined = labels && {
    shape: [dataset.count],
    dtype: 'int64',
    data: BigInt64Array.from(labels, BigInt),
  };
  const write = async (chunks: AsyncIterable<TypedArray>): Promise<void> =>
    await writeNpz(
      path,
      {
        images: { shape: [dataset.count, height, width, 3], dtype: 'uint8', chunks },
        ...(labelArray && { labels: labelArray }),
      },
      { force },
    );
  await throughFirst(path, pixelsOf(dataset, { width, height }, options), communicator, write);
}

/** The pixels of this rank's images. @throws UserError for one of another size than the first image. */
async function* pixelsOf(
  dataset: ImageDataset,
  expected: { width: number; height: number },
  options: ExportOptions,
): AsyncGenerator<Uint8Array> {
  const first = { name: dataset.imageName(0), ...expected };
  for await (const batch of readableImages(dataset, options))
    for (const { index, image } of batch) {
      requireOneSize([first, { name: dataset.imageName(index), width: image.width, height: image.height }]);
      yield image.data;
    }
}

/**
 * Writes PNGs, in class folders where there are classes, with `dataset.json` (where they come from) and, for drawn
 * images, `factors.csv`. The folder appears whole or not at all; only one that this function made is replaced.
 */
export async function exportFolder(dataset: ImageDataset, path: string, options: ExportOptions): Promise<void> {
  const folder = resolve(path);
  const { communicator = alone } = options;
  // The folder itself is replaced at the end, so its lock is next to it.
  await holdFolder(path, { lock: `${folder}.lock`, communicator }, () => exportHeld(dataset, folder, options));
}

async function exportHeld(dataset: ImageDataset, folder: string, options: ExportOptions): Promise<void> {
  const { communicator = alone, force } = options;
  const partial = `${folder}.partial`;
  await byFirst(communicator, () => refuseForeign(folder, force));
  try {
    await byFirst(communicator, () => makeClassFolders(dataset, partial));
    let written = 0;
    for await (const batch of readableImages(dataset, options)) {
      await severalAtOnce(
        batch,
        async ({ index, image }) => await writeImage(partial, fileName(dataset, index), image),
      );
      written += batch.length;
    }
    await tellBroken(communicator, dataset);
    if ((await sumOf(communicator, written)) === 0) throw nothingReadable(dataset);
    await byFirst(communicator, async () => {
      await describeFolder(dataset, partial, options);
      if (existsSync(folder)) await rm(folder, { recursive: true });
      await rename(partial, folder);
    });
  } catch (error) {
    if (communicator.rank === 0) await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

async function refuseForeign(folder: string, force: boolean): Promise<void> {
  if (!existsSync(folder) || (force && (await isOurs(folder)))) return;
  const advice = force ? 'it was not written by maetok data; remove it first' : 'choose another --out';
  throw new UserError(`${folder}: already exists; ${advice}`, EXIT.failed);
}

async function makeClassFolders({ name, classes }: ImageDataset, partial: string): Promise<void> {
  // The remains of a killed process.
  await rm(partial, { recursive: true, force: true });
  await makeFolder(partial);
  const unfit = classes.find(word => /^\.{0,2}$|[/\\\0]/.test(word));
  if (unfit !== undefined)
    throw new UserError(`${name}: class '${unfit}' cannot name a folder; write --out FILE.npz instead`);
  for (const word of classes) await makeFolder(join(partial, word));
}

/** Where the images come from and, of drawn ones, how they were drawn. */
async function describeFolder(dataset: ImageDataset, folder: string, options: ExportOptions): Promise<void> {
  const { factors, broken, count } = dataset;
  if (factors) {
    const present = indicesOf({ start: 0, end: count }).filter(index => !broken.has(index));
    const rows = present.map(index => ({ file: fileName(dataset, index), ...factors(index) }));
    await writeFile(join(folder, 'factors.csv'), stringify(rows, { header: true }));
  }
  await writeFile(join(folder, CARD), card(dataset, options));
}

const writeImage = async (folder: string, name: string, image: RawImage): Promise<void> =>
  await writeFile(join(folder, name), await encodePng(image));

function fileName({ classes, labels, count }: ImageDataset, index: number): string {
  const name = `${String(index).padStart(String(count - 1).length, '0')}.png`;
  return labels ? `${classes[labels[index]]}/${name}` : name;
}

function card(dataset: ImageDataset, { size }: ExportOptions): string {
  const { name, digest, decoding, count, broken } = dataset;
  const content = {
    maetok: VERSION,
    name,
    digest,
    decoding,
    images: count - broken.size,
    skipped: broken.size,
    size,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

async function isOurs(folder: string): Promise<boolean> {
  const text = await readFile(join(folder, CARD), 'utf8').catch(() => '');
  return text.includes('"maetok"');
}

/** A data set without the images that were found broken. @throws UserError if none are left. */
export function without(dataset: ImageDataset, broken: readonly { index: number }[]): ImageDataset {
  if (broken.length === 0) return dataset;
  if (broken.length === dataset.count) throw nothingReadable(dataset);
  const left = new Set(broken.map(({ index }) => index));
  const kept = Int32Array.from(indicesOf({ start: 0, end: dataset.count }).filter(index => !left.has(index)));
  return subset(dataset, kept, dataset.name, sha256OfText(`${dataset.digest} without ${[...left].join(' ')}`));
}

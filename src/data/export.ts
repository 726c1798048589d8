import { existsSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { stringify } from 'csv-stringify/sync';
import { EXIT, UserError, VERSION, type Progress } from '../base/index.js';
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
import { centreCrop } from './crop.js';
import { subset, type ImageDataset } from './dataset.js';
import { evenlySpaced, requireOneSize } from './inspect.js';

export interface ExportOptions {
  /** Centre crop to this side; absent: as they are. */
  size?: number | undefined;
  force: boolean;
  signal: AbortSignal;
  progress: Progress;
}

const BATCH = 256;
const CARD = 'dataset.json';

/** Images of a data set in its order, cropped; broken ones are left out. */
async function* readableImages(dataset: ImageDataset, { size, signal, progress }: ExportOptions) {
  for (let start = 0; start < dataset.count; start += BATCH) {
    if (signal.aborted) throw new UserError('interrupted; nothing was written', EXIT.interrupted);
    const indices = evenlySpaced(Math.min(BATCH, dataset.count - start), BATCH).map(i => start + i);
    const images = await severalAtOnce(indices, async index => {
      try {
        const image = await dataset.read(index, size);
        return { index, image: size === undefined ? image : centreCrop(image, size) };
      } catch (error) {
        dataset.reportBroken(index, error);
        return undefined;
      }
    });
    yield images.filter(image => image !== undefined);
    progress.update(start + indices.length);
  }
}

/**
 * Writes `images` (uint8 [n, height, width, 3]) and, where there are classes, `labels` (int64 [n]) as `numpy.savez`
 * would. All images must be readable (`without` sees to that) and of one size.
 */
export async function exportNpz(dataset: ImageDataset, path: string, options: ExportOptions): Promise<void> {
  refuseExisting(path, options.force);
  const { size } = options;
  const { width, height } = size === undefined ? await firstReadable(dataset) : { width: size, height: size };
  const first = { name: dataset.imageName(0), width, height };
  async function* chunks(): AsyncIterable<TypedArray> {
    for await (const batch of readableImages(dataset, options)) {
      for (const { index, image } of batch) {
        requireOneSize([first, { name: dataset.imageName(index), width: image.width, height: image.height }]);
        yield image.data;
      }
    }
  }
  const { labels } = dataset;
  const labelArray: NdArray | undefined = labels && {
    shape: [dataset.count],
    dtype: 'int64',
    data: BigInt64Array.from(labels, BigInt),
  };
  await writeNpz(
    path,
    {
      images: { shape: [dataset.count, height, width, 3], dtype: 'uint8', chunks: chunks() },
      ...(labelArray && { labels: labelArray }),
    },
    { force: options.force },
  );
}

/**
 * Writes PNGs, in class folders where there are classes, with `dataset.json` (where they come from) and, for drawn
 * images, `factors.csv`. The folder appears whole or not at all; only one that this function made is replaced.
 */
export async function exportFolder(dataset: ImageDataset, path: string, options: ExportOptions): Promise<void> {
  const folder = resolve(path);
  // The folder itself is replaced at the end, so its lock is next to it.
  await holdFolder(path, { lock: `${folder}.lock` }, () => exportHeld(dataset, folder, options));
}

async function exportHeld(dataset: ImageDataset, folder: string, options: ExportOptions): Promise<void> {
  if (existsSync(folder) && !(options.force && (await isOurs(folder)))) {
    const advice = options.force ? 'it was not written by maetok data; remove it first' : 'choose another --out';
    throw new UserError(`${folder}: already exists; ${advice}`, EXIT.failed);
  }
  const partial = `${folder}.partial`;
  try {
    // The remains of a killed process.
    await rm(partial, { recursive: true, force: true });
    await makeFolder(partial);
    const unfit = dataset.classes.find(name => /^\.{0,2}$|[/\\\0]/.test(name));
    if (unfit !== undefined)
      throw new UserError(`${dataset.name}: class '${unfit}' cannot name a folder; write --out FILE.npz instead`);
    for (const name of dataset.classes) await makeFolder(join(partial, name));
    const factors: Record<string, string | number>[] = [];
    let written = 0;
    for await (const batch of readableImages(dataset, options)) {
      await severalAtOnce(
        batch,
        async ({ index, image }) => await writeImage(partial, fileName(dataset, index), image),
      );
      written += batch.length;
      for (const { index } of batch)
        if (dataset.factors) factors.push({ file: fileName(dataset, index), ...dataset.factors(index) });
    }
    if (written === 0) throw nothingReadable(dataset);
    if (factors.length > 0) await writeFile(join(partial, 'factors.csv'), stringify(factors, { header: true }));
    await writeFile(join(partial, CARD), card(dataset, options));
    if (existsSync(folder)) await rm(folder, { recursive: true });
    await rename(partial, folder);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
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
  const kept = Int32Array.from(evenlySpaced(dataset.count, dataset.count).filter(index => !left.has(index)));
  return subset(dataset, kept, dataset.name, sha256OfText(`${dataset.digest} without ${[...left].join(' ')}`));
}

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../../base/index.js';
import {
  memoryBytes,
  openBytes,
  PickledBytes,
  readPickledDict,
  sha256OfText,
  type ByteSource,
  type RawImage,
} from '../../io/index.js';
import type { ImageSource } from '../dataset.js';
import { sampledDigest } from './digest.js';
import { keysDigest, type ImageKeys } from './keys.js';

const SIDE = 32;
const PIXELS = SIDE * SIDE;
/** Bytes of an image: all of its red, then green, then blue. */
const IMAGE = 3 * PIXELS;

/** The labels of CIFAR-100's images are of two kinds. */
type Kind = 'labels' | 'fine_labels' | 'coarse_labels';

/** One file of images, its labels known. */
interface CifarFile {
  source: ByteSource;
  count: number;
  labels: Int32Array;
  /** Where image `index` begins. */
  place: (index: number) => number;
}

const BATCH = /^(data_batch(_\d+)?|test_batch)(\.bin)?$/;
const HUNDRED = /^(train|test)(\.bin)?$/;
/** Files with the classes' names, beside which `train` and `test` are CIFAR-100's and no folders of something else. */
const NAME_FILES = ['meta', 'fine_label_names.txt'];

/** The files of a folder that are CIFAR's: `data_batch_1` to `5` and `test_batch`, or CIFAR-100's `train` and `test`. */
export function cifarFiles(files: string[]): string[] {
  const isHundred = NAME_FILES.some(name => files.includes(name));
  return files.filter(name => BATCH.test(name) || (isHundred && HUNDRED.test(name)));
}

export const isCifarName = (path: string): boolean =>
  BATCH.test(basename(path)) ||
  (HUNDRED.test(basename(path)) && cifarFiles([basename(path), ...namesBeside(path)]).length > 0);

const namesBeside = (path: string): string[] => NAME_FILES.filter(name => existsSync(join(dirname(path), name)));

/**
 * CIFAR-10 and CIFAR-100 as their authors distribute them, in the binary form (`.bin`) or the one for Python (pickles, of
 * which nothing is run). Images are read where they lie in the files. Of CIFAR-100 the 100 fine classes are taken, or by
 * `keys.labels` the 20 coarse ones. The classes' names are those of the file beside, numbers where that is absent.
 */
export async function openCifar(name: string, paths: string[], keys: ImageKeys): Promise<ImageSource> {
  const files: CifarFile[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(files.map(({ source }) => source.close()));
  };
  try {
    const digests: string[] = [];
    for (const path of paths) {
      files.push(path.endsWith('.bin') ? await openBinary(path, keys) : await openPickled(path, keys));
      digests.push(await sampledDigest(path));
    }
    const labels = Int32Array.from(files.flatMap(file => [...file.labels]));
    const count = labels.length;
    const most = labels.reduce((a, b) => Math.max(a, b), 0);
    const classes = await classNames(dirname(paths[0]), keys, most);
    const place = (index: number): { file: CifarFile; local: number } => {
      let local = index;
      const file = files.find(({ count: rows }) => local < rows || ((local -= rows), false))!;
      return { file, local };
    };
    return {
      name,
      count,
      classes,
      labels,
      digest: sha256OfText(`${digests.join('\n')}${keysDigest(keys)}`),
      imageName: index => {
        const { file, local } = place(index);
        return `${file.source.name}: image ${local}`;
      },
      stored: async index => {
        const { file, local } = place(index);
        return interleaved(await file.source.read(file.place(local), IMAGE));
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Planes of colour → pixels. */
function interleaved(planes: Uint8Array): RawImage {
  const data = new Uint8Array(IMAGE);
  for (let i = 0; i < PIXELS; i++) for (let c = 0; c < 3; c++) data[3 * i + c] = planes[c * PIXELS + i];
  return { width: SIDE, height: SIDE, data };
}

/** The kind of labels that is asked for, among those that a file has. */
function kindOf(path: string, { labels }: ImageKeys, has: readonly Kind[]): Kind {
  const kind = labels === undefined ? has[0] : has.find(name => name === labels || name === `${labels}_labels`);
  if (kind) return kind;
  throw new UserError(`${path}: has no labels ${labels}; it has ${has.join(', ')}`);
}

/** Records read at a time for their labels. */
const RECORDS = 4096;

/** Records of one label (CIFAR-10), or of a coarse and a fine one (CIFAR-100), and an image. */
async function openBinary(path: string, keys: ImageKeys): Promise<CifarFile> {
  const source = await openBytes(path);
  try {
    const bytes = [1, 2].find(labels => source.size > 0 && source.size % (labels + IMAGE) === 0);
    if (bytes === undefined)
      throw new UserError(
        `${path}: has ${source.size} bytes, which are no whole records of CIFAR-10 (${1 + IMAGE}) or CIFAR-100 (${2 + IMAGE}); download it again`,
      );
    const record = bytes + IMAGE;
    const count = source.size / record;
    const kind = kindOf(path, keys, bytes === 1 ? ['labels'] : ['fine_labels', 'coarse_labels']);
    const at = kind === 'fine_labels' ? 1 : 0;
    const labels = new Int32Array(count);
    for (let start = 0; start < count; start += RECORDS) {
      const end = Math.min(count, start + RECORDS);
      const block = await source.read(start * record, (end - start) * record);
      for (let i = start; i < end; i++) labels[i] = block[(i - start) * record + at];
    }
    return { source, count, labels, place: index => index * record + bytes };
  } catch (error) {
    await source.close();
    throw error;
  }
}

const KINDS: readonly Kind[] = ['labels', 'fine_labels', 'coarse_labels'];

async function openPickled(path: string, keys: ImageKeys): Promise<CifarFile> {
  const dict = await readPickledDict(path);
  const data = dict.get('data');
  const has = KINDS.filter(name => Array.isArray(dict.get(name)));
  if (!(data instanceof PickledBytes) || data.shape.length !== 2 || data.shape[1] !== IMAGE || has.length === 0)
    throw new UserError(
      `${path}: is not one of CIFAR's batches: it has ${[...dict.keys()].join(', ')}, expected are data [n, ${IMAGE}] and labels`,
    );
  const [count] = data.shape;
  const labels = dict.get(kindOf(path, keys, has)) as unknown[];
  if (labels.length !== count || !labels.every(label => Number.isInteger(label) && Number(label) >= 0))
    throw new UserError(`${path}: has ${labels.length} labels for ${count} images; there must be one number for each`);
  return {
    source: data.decoded ? memoryBytes(path, data.decoded) : await openBytes(path),
    count,
    labels: Int32Array.from(labels, Number),
    place: index => data.offset + index * IMAGE,
  };
}

/** Names by label from the file that lies beside the images; `most` is the largest label. */
async function classNames(folder: string, { labels }: ImageKeys, most: number): Promise<string[]> {
  const kind = labels?.startsWith('coarse') ? 'coarse' : 'fine';
  for (const [file, key] of [
    ['batches.meta.txt', ''],
    [`${kind}_label_names.txt`, ''],
    ['batches.meta', 'label_names'],
    ['meta', `${kind}_label_names`],
  ]) {
    const path = join(folder, file);
    if (!existsSync(path)) continue;
    const names = key === '' ? await lines(path) : (await readPickledDict(path)).get(key);
    if (Array.isArray(names) && names.length > most) return names.map(String);
    throw new UserError(`${path}: does not name all classes: the images have labels up to ${most}`);
  }
  return Array.from({ length: most + 1 }, (_, label) => String(label));
}

const lines = async (path: string): Promise<string[]> =>
  (await readFile(path, 'utf8'))
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '');

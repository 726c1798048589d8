import { statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { RandomNumbers, silentLog, UserError, type Log } from '../base/index.js';
import { isImageName, PILLOW, sha256OfText, type Decoding } from '../io/index.js';
import { makeDataset, subset, type ImageDataset, type ImageSource } from './dataset.js';
import type { SplitName } from './names.js';
import { openNpyImages, openNpzImages } from './sources/arrays.js';
import { entries, openFolder } from './sources/folder.js';
import { isIdxImages, openIdx } from './sources/idx.js';
import { openScenes, SCENES } from './sources/scenes.js';
import { openTars } from './sources/tar.js';

/** `exif`, `alpha` and `grey16` say how images are decoded; by default as Pillow does it. */
export interface OpenImagesOptions extends Partial<Decoding> {
  /**
   * `train` and `val` are the folders (or idx files) of those names where there are some; elsewhere a share of the
   * images is held out by `splitSeed`. Default `all`: every image, train before val.
   */
  split?: SplitName;
  /** Share held out where the data come in one piece; default 0.1. */
  heldOut?: number;
  /** Seed of that division; apart from the run's seed, so that runs with other seeds hold out the same images. */
  splitSeed?: number;
  /** The first so many images of the split. */
  limit?: number | undefined;
  /** A broken image stops the work; default: it is skipped with a warning. */
  strict?: boolean;
  log?: Log;
}

/** What `openImages` reads, for help and for `maetok data`. */
export const DATA_SPECS: readonly [spec: string, meaning: string][] = [
  [
    'FOLDER',
    'images (JPEG, PNG, WebP, TIFF, BMP, PPM, PGM, GIF, AVIF) in class folders (class = folder), or without classes; train/ and val/ folders are splits',
  ],
  ['FILE.npy, FILE.npz', "uint8 [n, height, width, 3]; in .npz as 'images' or 'arr_0', labels as 'labels' or 'arr_1'"],
  ['train-images-idx3-ubyte[.gz]', 'MNIST’s format, or a folder with such files; labels next to them'],
  [
    'FILE.tar, FOLDER of .tar [?picture=FIELD]',
    'WebDataset shards: images with .cls labels, or class folders inside; FIELD if a sample has several images',
  ],
  [
    `${SCENES}[?count=&size=&classes=&textures=&backgrounds=&spread=&seed=]`,
    'textured shapes on backgrounds, drawn on demand; number of textures and backgrounds to use, and percentage of the range of place, size and rotation',
  ],
];

/**
 * Opens images by what `spec` names, see DATA_SPECS.
 * @throws UserError for a missing, unreadable or empty source and for a split that it does not have.
 */
export async function openImages(spec: string, options: OpenImagesOptions = {}): Promise<ImageDataset> {
  const { split = 'all', heldOut = 0.1, splitSeed = 0, limit, strict = false, log = silentLog } = options;
  const { train, val } = partsOf(spec, log);
  const source = val ? await chosenPart(basename(resolve(spec)), await train(), await val(), split) : await train();
  const { exif = PILLOW.exif, alpha = PILLOW.alpha, grey16 = PILLOW.grey16 } = options;
  const whole = makeDataset(source, { log, strict, decoding: { exif, alpha, grey16 } });
  const dataset = val ? whole : divided(whole, split, heldOut, splitSeed);
  if (limit === undefined || limit >= dataset.count) return dataset;
  const first = Int32Array.from({ length: limit }, (_, i) => i);
  return subset(dataset, first, dataset.name, sha256OfText(`${dataset.digest} first ${limit}`));
}

type Part = () => Promise<ImageSource>;

interface Parts {
  train: Part;
  val?: Part;
}

function partsOf(spec: string, log: Log): Parts {
  if (spec === SCENES || spec.startsWith(`${SCENES}?`)) return { train: () => Promise.resolve(openScenes(spec)) };
  if (spec.startsWith('synthetic:')) throw new UserError(`${spec}: unknown; ${SCENES} is the procedural data set`);
  const [, path, field] = /^(.*?)(?:\?picture=(.+))?$/s.exec(spec)!;
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found)
    throw new UserError(`${spec}: no such file or folder; --data names images (\`maetok data\` lists the forms)`);
  return found.isDirectory() ? folderParts(path, { log, field }) : { train: () => openFile(path, field) };
}

async function openFile(path: string, field: string | undefined): Promise<ImageSource> {
  if (path.endsWith('.npz')) return await openNpzImages(path);
  if (path.endsWith('.npy')) return await openNpyImages(path);
  if (/\.(tar|tgz|tar\.gz)$/.test(path))
    return await openTars(basename(path).replace(/\.(tar|tgz)(\.gz)?$/, ''), [path], field);
  if (isIdxImages(path)) return await openIdx(path);
  throw new UserError(
    `${path}: is not a known form of images; ${DATA_SPECS.map(([form]) => form).join(', ')} can be read`,
  );
}

const TRAIN = ['train', 'training'];
const VAL = ['val', 'valid', 'validation', 'test'];

interface FolderReading {
  log: Log;
  /** The field of WebDataset's samples that holds the image. */
  field: string | undefined;
}

function folderParts(folder: string, reading: FolderReading): Parts {
  const { folders, files } = entries(folder);
  const called = (names: string[]): string | undefined =>
    names.map(name => folders.find(found => found.toLowerCase() === name)).find(found => found !== undefined);
  const [train, val] = [called(TRAIN), called(VAL)];
  if (train !== undefined && val !== undefined)
    return {
      train: folderParts(join(folder, train), reading).train,
      val: folderParts(join(folder, val), reading).train,
    };
  // If a root's only folder holds the class folders, that folder is meant.
  const only = folders.length === 1 && !files.some(isImageName) ? join(folder, folders[0]) : undefined;
  if (only !== undefined && entries(only).folders.length > 0) return folderParts(only, reading);
  const idx = files.filter(isIdxImages);
  if (idx.length > 0) return idxParts(folder, idx);
  const tars = files.filter(name => name.endsWith('.tar'));
  const name = basename(resolve(folder));
  if (tars.length > 0)
    return {
      train: () =>
        openTars(
          name,
          tars.map(file => join(folder, file)),
          reading.field,
        ),
    };
  return { train: () => Promise.resolve(openFolder(folder, reading.log)) };
}

/** `train-…` and `t10k-…` (or `test-…`), as MNIST and its successors come. */
function idxParts(folder: string, files: string[]): Parts {
  const train = files.find(name => name.startsWith('train')) ?? files[0];
  const val = files.find(name => /^(t10k|test|val)/.test(name));
  const part =
    (file: string): Part =>
    () =>
      openIdx(join(folder, file));
  return val === undefined || val === train ? { train: part(train) } : { train: part(train), val: part(val) };
}

/** Train, val or both (train before val), their labels counted under the classes of both. */
async function chosenPart(name: string, train: ImageSource, val: ImageSource, split: SplitName): Promise<ImageSource> {
  const classes = [...new Set([...train.classes, ...val.classes])];
  const [a, b] = [relabelled(train, classes), relabelled(val, classes)];
  if (split === 'all') return joined(name, a, b);
  await (split === 'train' ? b : a).close?.();
  return { ...(split === 'train' ? a : b), name: `${name}-${split}` };
}

function relabelled(part: ImageSource, classes: string[]): ImageSource {
  const { labels } = part;
  return { ...part, classes, ...(labels && { labels: labels.map(label => classes.indexOf(part.classes[label])) }) };
}

function joined(name: string, a: ImageSource, b: ImageSource): ImageSource {
  const of = <T>(index: number, use: (part: ImageSource, local: number) => T): T =>
    index < a.count ? use(a, index) : use(b, index - a.count);
  return {
    name,
    count: a.count + b.count,
    classes: a.classes,
    ...(a.labels && b.labels && { labels: Int32Array.from([...a.labels, ...b.labels]) }),
    digest: sha256OfText(`${a.digest} ${b.digest}`),
    imageName: index => of(index, (part, local) => part.imageName(local)),
    stored: (index, wanted) => of(index, (part, local) => part.stored(local, wanted)),
    close: async () => {
      await a.close?.();
      await b.close?.();
    },
  };
}

/** A part held out by seed; both parts keep the order of the whole. */
function divided(whole: ImageDataset, split: SplitName, heldOut: number, seed: number): ImageDataset {
  if (split === 'all') return whole;
  const kept = Math.min(whole.count - 1, Math.max(1, Math.round(whole.count * heldOut)));
  if (kept < 1) throw new UserError(`${whole.name}: a single image cannot be divided into train and val`);
  const order = new RandomNumbers(seed, 'held-out').permutation(whole.count);
  const chosen = (split === 'val' ? order.subarray(0, kept) : order.subarray(kept)).slice().sort();
  const digest = sha256OfText(`${whole.digest} ${split} heldOut=${kept} seed=${seed}`);
  return subset(whole, chosen, `${whole.name}-${split}`, digest);
}

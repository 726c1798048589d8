import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { RandomNumbers, silentLog, UserError, type Log } from '../base/index.js';
import { isImageName, openArrow, openParquet, PILLOW, sha256OfText, type Decoding } from '../io/index.js';
import { makeDataset, subset, type ImageDataset, type ImageSource } from './dataset.js';
import type { SplitName } from './names.js';
import { matching, SHARD_KINDS, shardKind, shardName, shardsIn, splitsOf, type ShardKind } from './shards.js';
import { openNpyImages, openNpzImages, splitKeys } from './sources/arrays.js';
import { cifarFiles, isCifarName, openCifar } from './sources/cifar.js';
import { entries, openFolder } from './sources/folder.js';
import { isIdxImages, openIdx } from './sources/idx.js';
import type { ImageKeys } from './sources/keys.js';
import { openScenes, SCENES } from './sources/scenes.js';
import { openTables } from './sources/tables.js';
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
  /** The array, column or field that holds the images, and that of their labels; default: one of a usual name. */
  imagesKey?: string | undefined;
  labelsKey?: string | undefined;
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
  [
    'FILE.npy, FILE.npz',
    "uint8 [n, height, width, 3]; in .npz as 'images' or 'arr_0', labels as 'labels' or 'arr_1'; train_images, val_labels, … are splits",
  ],
  [
    'FILE.parquet, FOLDER, "FOLDER/train-*.parquet"',
    'Parquet as the Hugging Face hub has it (image {bytes, path} or bytes, label); shards; train-… and validation-… are splits',
  ],
  ['FILE.arrow, FOLDER of .arrow', 'what `datasets` caches or save_to_disk writes'],
  [
    'data_batch_1.bin, cifar-10-batches-py/, cifar-100-python/, …',
    'CIFAR as distributed, binary or for Python; of CIFAR-100 the fine labels, by --labels-key coarse the coarse ones',
  ],
  ['train-images-idx3-ubyte[.gz]', 'MNIST’s format, or a folder with such files; labels next to them'],
  [
    'FILE.tar, FOLDER of .tar',
    'WebDataset shards: images with .cls labels, or class folders inside; --images-key FIELD if a sample has several images',
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
  const keys = { images: options.imagesKey, labels: options.labelsKey };
  const { train, val } = await partsOf(spec, { log, ...keys });
  const source = val ? await chosenPart(nameOf(spec), await train(), await val(), split) : await train();
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

interface Reading extends ImageKeys {
  log: Log;
}

async function partsOf(spec: string, reading: Reading): Promise<Parts> {
  if (spec === SCENES || spec.startsWith(`${SCENES}?`)) return { train: () => Promise.resolve(openScenes(spec)) };
  if (spec.startsWith('synthetic:')) throw new UserError(`${spec}: unknown; ${SCENES} is the procedural data set`);
  const { path, ...keys } = splitSpec(spec);
  const chosen = { ...reading, ...keys };
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found && path.includes('*')) return shardParts(path, matching(path), chosen);
  if (!found)
    throw new UserError(`${spec}: no such file or folder; --data names images (\`maetok data\` lists the forms)`);
  return found.isDirectory() ? folderParts(path, chosen) : await fileParts(path, chosen);
}

/** A data set of several files is called as its folder, of one as that. */
function nameOf(spec: string): string {
  const { path } = splitSpec(spec);
  return basename(resolve(path.includes('*') ? dirname(path) : path)).replace(/\.npz$/, '');
}

/** `path?images=KEY&labels=KEY`; `?picture=` is another word for the first. */
function splitSpec(spec: string): { path: string } & ImageKeys {
  const [, path, query] = /^(.*?)(?:\?((?:picture|images|labels)=.+))?$/s.exec(spec)!;
  const asked = new URLSearchParams(query);
  const images = asked.get('images') ?? asked.get('picture') ?? undefined;
  const labels = asked.get('labels') ?? undefined;
  return { path, ...(images !== undefined && { images }), ...(labels !== undefined && { labels }) };
}

async function fileParts(path: string, reading: Reading): Promise<Parts> {
  if (path.endsWith('.npz')) {
    const splits = reading.images === undefined ? await splitKeys(path) : undefined;
    if (!splits) return { train: () => openNpzImages(path, reading) };
    const part = (keys: ImageKeys) => () => openNpzImages(path, { labels: reading.labels, ...keys });
    return { train: part(splits.train), val: part(splits.val) };
  }
  return { train: () => openFile(path, reading) };
}

async function openFile(path: string, reading: Reading): Promise<ImageSource> {
  if (path.endsWith('.npy')) return await openNpyImages(path);
  const kind = shardKind(path);
  if (kind) return await openShards(kind, shardName(path), [path], reading);
  if (isIdxImages(path)) return await openIdx(path);
  if (isCifarName(path)) return await openCifar(basename(path).replace(/\.bin$/, ''), [path], reading);
  throw new UserError(
    `${path}: is not a known form of images; ${DATA_SPECS.map(([form]) => form).join(', ')} can be read`,
  );
}

const TRAIN = ['train', 'training'];
const VAL = ['val', 'valid', 'validation', 'test'];

function folderParts(folder: string, reading: Reading): Parts {
  const { folders, files } = entries(folder);
  const called = (names: string[]): string | undefined =>
    names.map(name => folders.find(found => found.toLowerCase() === name)).find(found => found !== undefined);
  const [train, val] = [called(TRAIN), called(VAL)];
  if (train !== undefined && val !== undefined)
    return {
      train: folderParts(join(folder, train), reading).train,
      val: folderParts(join(folder, val), reading).train,
    };
  const own = filesParts(folder, files, reading);
  if (own) return own;
  // If a root's only folder holds the class folders or the files, that folder is meant.
  const only = folders.length === 1 && !files.some(isImageName) ? join(folder, folders[0]) : undefined;
  if (only !== undefined) {
    const below = entries(only);
    if (below.folders.length > 0 || filesParts(only, below.files, reading)) return folderParts(only, reading);
  }
  return { train: () => Promise.resolve(openFolder(folder, reading.log)) };
}

/** A folder of files that hold many images each. */
function filesParts(folder: string, files: string[], reading: Reading): Parts | undefined {
  const idx = files.filter(isIdxImages);
  if (idx.length > 0) return idxParts(folder, idx);
  const cifar = cifarFiles(files);
  if (cifar.length > 0) return cifarParts(folder, cifar, reading);
  const shards = SHARD_KINDS.map(kind => shardsIn(files, kind)).find(found => found.length > 0);
  return (
    shards &&
    shardParts(
      folder,
      shards.map(file => join(folder, file)),
      reading,
    )
  );
}

/** Shards of one kind, in the order of their names; their splits are what their names say. */
function shardParts(where: string, paths: string[], reading: Reading): Parts {
  const kind = paths.length > 0 ? shardKind(paths[0]) : undefined;
  const stray = paths.find(path => shardKind(path) !== kind);
  if (!kind || stray !== undefined)
    throw new UserError(
      paths.length === 0
        ? `${where}: no file matches`
        : `${where}: ${stray ?? paths[0]} is not one of several ${kind ?? SHARD_KINDS.join(', ')} files`,
    );
  const name = nameOf(where);
  const { train, val, left } = splitsOf(paths);
  if (left.length > 0)
    reading.log.note(`${where}: its test files (${basename(left[0])}, …) are left out; name them to read them`);
  const part = (files: string[]) => () => openShards(kind, name, files, reading);
  return val.length > 0 ? { train: part(train), val: part(val) } : { train: part(train) };
}

async function openShards(kind: ShardKind, name: string, paths: string[], reading: Reading): Promise<ImageSource> {
  if (kind === 'tar') return await openTars(name, paths, reading.images);
  const description = await hfDescription(dirname(paths[0]));
  return await openTables(name, paths, kind === 'parquet' ? openParquet : openArrow, reading, description);
}

/** What `datasets` writes beside its Arrow files. */
async function hfDescription(folder: string): Promise<string | undefined> {
  return await readFile(join(folder, 'dataset_info.json'), 'utf8').catch(() => undefined);
}

function cifarParts(folder: string, files: string[], reading: Reading): Parts {
  const name = basename(resolve(folder));
  const isTest = (file: string): boolean => file.startsWith('test');
  const part = (chosen: string[]) => () =>
    openCifar(
      name,
      chosen.map(file => join(folder, file)),
      reading,
    );
  const [train, val] = [files.filter(file => !isTest(file)), files.filter(isTest)];
  return train.length > 0 && val.length > 0 ? { train: part(train), val: part(val) } : { train: part(files) };
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

import { basename, dirname, extname, join } from 'node:path';
import { UserError } from '../base/index.js';
import {
  classesFrom,
  labelsByName,
  readNpyValues,
  type Classes,
  type NdArray,
  type NpyOptions,
  type TextArray,
} from '../io/index.js';
import { arrayPiece, type ArrayPiece } from './array-file.js';
import { filesOfOneKind, openNamed } from './named/index.js';
import { perImageStore } from './per-image.js';
import { pieceStore, type Piece } from './pieces.js';
import type { LatentsStore } from './store.js';

/** Kinds of which a folder may hold many; the preferred ones first. */
const SHARDS = ['parquet', 'arrow', 'hdf5'];
/** Likewise, where a file may also be one image's latents alone. */
const ARRAYS = ['npy', 'pt'];

const isLabels = (name: string): boolean => /^labels?\.(npy|pt)$/.test(name);

/** The files of a folder that hold latents this way; empty where there are none. */
export function arrayFiles(files: string[]): string[] {
  return filesOfOneKind(
    files.filter(name => !isLabels(name)),
    [...SHARDS, ...ARRAYS],
  );
}

/**
 * A folder of files of one kind, in the order of their names: shards of many images (.parquet, .arrow, .h5), or .npy or
 * .pt files of one image or one batch each. Labels are those in the files, else in `labels.npy` or `labels.pt` beside
 * them, else the names of the folders below.
 */
export async function arrayFolderStore(folder: string, files: string[], options: NpyOptions): Promise<LatentsStore> {
  const paths = arrayFiles(files).map(name => join(folder, name));
  const beside = files.find(isLabels);
  const labels = beside === undefined ? undefined : await valuesIn(join(folder, beside), options);
  const found: ArrayPiece[] = [];
  for (const path of paths) found.push(await arrayPiece(path, options));
  const pieces = found.map(({ piece }) => piece);
  const areImages = isOneEach(paths[0], pieces, labels?.shape[0]);
  const rows = areImages ? paths.length : pieces.reduce((sum, piece) => sum + piece.rows, 0);
  const about = {
    name: folder,
    ...(labels ? classesFrom(join(folder, beside!), labels, rows) : labelsIn(folder, paths, found, areImages)),
    meta: {},
    files: () => (beside === undefined ? paths : [...paths, join(folder, beside)]),
  };
  if (!areImages) return pieceStore(pieces.map(reopened), about);
  return await perImageStore(
    {
      names: paths,
      flips: false,
      scaleAs: undefined,
      open: () =>
        Promise.resolve({
          read: async index => (await valuesIn(paths[index], options)) as NdArray,
          close: () => Promise.resolve(),
        }),
    },
    about,
    { take: 'mode', seed: 0 },
  );
}

/**
 * Whether each file is one image's latents: where their arrays have no axis to spare for a batch, and are all of one
 * shape; unless that gives another number of images than there are labels.
 */
function isOneEach(path: string, pieces: Piece[], labels: number | undefined): boolean {
  if (!ARRAYS.includes(extname(path).slice(1).replace('pth', 'pt'))) return false;
  const [first] = pieces;
  const rows = pieces.reduce((sum, piece) => sum + piece.rows, 0);
  if (pieces.length === 1 || first.shape.length >= 3 || pieces.some(({ rows }) => rows !== first.rows)) return false;
  return labels === undefined || labels === pieces.length || labels !== rows;
}

/** The one array of a file. */
async function valuesIn(path: string, options: NpyOptions): Promise<NdArray | TextArray> {
  if (isLabels(basename(path)) && path.endsWith('.npy')) return await readNpyValues(path);
  const file = await openNamed(path, options);
  try {
    if (file.names.length !== 1)
      throw new UserError(`${path}: holds ${file.names.join(', ')}; in a folder of arrays each file holds one`);
    return await file.values(file.names[0]);
  } finally {
    await file.close();
  }
}

/** The labels of the files themselves, or the folders that they lie in. */
function labelsIn(folder: string, paths: string[], found: ArrayPiece[], areImages: boolean): Classes | undefined {
  const own = found.map(({ classes }) => classes).filter(classes => classes !== undefined);
  if (own.length > 0 && own.length < found.length)
    throw new UserError(`${paths[found.findIndex(({ classes }) => !classes)]}: has no labels, unlike the other files`);
  if (own.length > 0) return joinedLabels(own);
  const folders = paths.map(dirname);
  if (folders.every(below => below === folder)) return undefined;
  return labelsByName(
    folders.flatMap((below, i) => new Array<string>(areImages ? 1 : found[i].piece.rows).fill(basename(below))),
  );
}

/** By name where the files name them: one file may lack a class that another has. */
function joinedLabels(parts: Classes[]): Classes {
  const [first] = parts;
  const areAlike = parts.every(({ classes }) => classes?.join('\n') === first.classes?.join('\n'));
  const all = Int32Array.from(parts.flatMap(({ labels }) => [...labels]));
  if (areAlike) return first.classes ? { labels: all, classes: first.classes } : { labels: all };
  return labelsByName(
    parts.flatMap(({ labels, classes }) => [...labels].map(label => classes?.[label] ?? String(label))),
  );
}

/** Each file is closed again after a read: there may be more of them than may be open. */
const reopened = (piece: Piece): Piece => ({
  ...piece,
  async open() {
    const opened = await piece.open();
    const { shape } = opened.latents;
    await opened.close();
    const reading = (kind: 'latents' | 'flipped') => ({
      shape,
      async readRows(start: number, end: number): Promise<NdArray> {
        const again = await piece.open();
        return await again[kind]!.readRows(start, end).finally(() => again.close());
      },
    });
    return {
      latents: reading('latents'),
      ...(piece.flips && { flipped: reading('flipped') }),
      close: () => Promise.resolve(),
    };
  },
});

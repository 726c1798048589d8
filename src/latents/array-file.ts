import { existsSync } from 'node:fs';
import { UserError } from '../base/index.js';
import { classesFrom, listed, type Classes, type NpyOptions } from '../io/index.js';
import { openNamed, type NamedArrays } from './named/index.js';
import { pieceOf, pieceStore, type OpenPiece, type Piece } from './pieces.js';
import type { LatentsStore } from './store.js';

/**
 * Latents in one file of named arrays (.npy, .npz, .safetensors, .pt, .h5) or columns (.parquet, .arrow). Which of them:
 * the one that `#name` after the path says (`#train` is short for `#train.latents` or `#train.features`), else `latents`,
 * else the only one that can be it. Its labels, numbers or text, are called `labels`, under the same prefix; flipped
 * copies end in `_flip`.
 */
export async function arrayFileStore(given: string, options: NpyOptions): Promise<LatentsStore> {
  const { path } = splitFragment(given);
  const { piece, classes } = await arrayPiece(given, options);
  return pieceStore([piece], { name: given, ...classes, meta: {}, files: () => [path] });
}

/** What one file holds. */
export interface ArrayPiece {
  piece: Piece;
  classes: Classes | undefined;
}

/** The latents in one file, and their labels. */
export async function arrayPiece(given: string, options: NpyOptions): Promise<ArrayPiece> {
  const { path, fragment } = splitFragment(given);
  const file = await openNamed(path, options);
  try {
    const chosen = await chooseArray(given, file, fragment);
    const flip = file.names.find(name => name === `${chosen}_flip`);
    const { shape } = await file.info(chosen);
    const open = async (): Promise<OpenPiece> => {
      const opened = await openNamed(path, options);
      return {
        latents: await opened.rows(chosen),
        ...(flip !== undefined && { flipped: await opened.rows(flip) }),
        close: () => opened.close(),
      };
    };
    const piece = pieceOf(given, shape, flip === undefined ? undefined : (await file.info(flip)).shape, open);
    const labels = labelName(chosen, file.names);
    return { piece, classes: labels === undefined ? undefined : await classesIn(file, labels, piece.rows) };
  } finally {
    await file.close();
  }
}

/** Labels as the file has them; its own names of the classes where they count those. */
async function classesIn(file: NamedArrays, labels: string, rows: number): Promise<Classes> {
  const found = classesFrom(`${file.path}#${labels}`, await file.values(labels), rows);
  const names = file.classNames?.(labels);
  return names && !found.classes && found.labels.every(label => label < names.length)
    ? { ...found, classes: names }
    : found;
}

/** `file#name` → both parts; a file that is really called so stays whole. */
export function splitFragment(given: string): { path: string; fragment: string | undefined } {
  const at = given.lastIndexOf('#');
  if (at < 0 || existsSync(given)) return { path: given, fragment: undefined };
  return { path: given.slice(0, at), fragment: given.slice(at + 1) };
}

const NAMES = ['latents', 'features', 'latent', 'feature', 'embeddings', 'embedding'];
const LABELS = ['labels', 'label'];

/** Names are paths: `train.latents`, in HDF5 `train/latents`. */
const cutAt = (name: string): number => Math.max(name.lastIndexOf('.'), name.lastIndexOf('/')) + 1;
const lastPart = (name: string): string => name.slice(cutAt(name));
const prefixOf = (name: string): string => name.slice(0, cutAt(name));

async function chooseArray(given: string, file: NamedArrays, fragment: string | undefined): Promise<string> {
  const wanted =
    fragment === undefined
      ? NAMES
      : [fragment, ...NAMES.map(name => `${fragment}.${name}`), ...NAMES.map(name => `${fragment}/${name}`)];
  const exact = wanted.find(name => file.names.includes(name));
  if (exact !== undefined) return exact;
  const possible = [...(await file.numbers())]
    .filter(([name, { shape }]) => shape.length > 1 && !LABELS.includes(lastPart(name)) && !name.endsWith('_flip'))
    .map(([name]) => name);
  if (fragment === undefined && possible.length === 1) return possible[0];
  const has = possible.length > 0 ? listed(possible) : 'no array of two axes or more';
  if (fragment !== undefined) throw new UserError(`${given}: there is no array ${fragment}; the file has ${has}`);
  if (possible.length === 0)
    throw new UserError(`${given}: has ${has}; latents are [N, C, H, W], [N, tokens, C] or [N, D]`);
  throw new UserError(`${given}: has ${has}; say which, e.g. ${given}#${possible[0]}`);
}

function labelName(latents: string, names: string[]): string | undefined {
  return LABELS.map(name => prefixOf(latents) + name).find(name => names.includes(name));
}

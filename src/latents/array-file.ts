import { existsSync } from 'node:fs';
import { UserError } from '../base/index.js';
import { openNpy, openNpz, openSafetensors, type ArrayInfo, type NdArray } from '../io/index.js';
import { labelsFrom } from './labels.js';
import { pieceOf, pieceStore, type OpenPiece, type RowArray } from './pieces.js';
import type { LatentsStore } from './store.js';

/** A file of named arrays, open. */
interface NamedArrays {
  arrays: Map<string, ArrayInfo>;
  read(name: string): Promise<NdArray>;
  rows(name: string): Promise<RowArray>;
  close(): Promise<void>;
}

/**
 * Latents in one .npy, .npz or .safetensors file. Which array: the one that `#name` after the path says (`#train` is
 * short for `#train.latents` or `#train.features`), else `latents`, else the only one that can be it. Its labels are
 * called `labels`, under the same prefix; flipped copies end in `_flip`.
 */
export async function arrayFileStore(given: string): Promise<LatentsStore> {
  const { path, fragment } = splitFragment(given);
  const file = await openNamed(path);
  try {
    const chosen = chooseArray(given, file.arrays, fragment);
    const flip = `${chosen}_flip`;
    const { shape } = file.arrays.get(chosen)!;
    const open = async (): Promise<OpenPiece> => {
      const opened = await openNamed(path);
      return {
        latents: await opened.rows(chosen),
        ...(opened.arrays.has(flip) && { flipped: await opened.rows(flip) }),
        close: () => opened.close(),
      };
    };
    const piece = pieceOf(given, shape, file.arrays.get(flip)?.shape, open);
    const labels = labelName(chosen, file.arrays);
    return pieceStore([piece], {
      name: given,
      ...(labels && { labels: labelsFrom(`${path}#${labels}`, await file.read(labels), piece.rows) }),
      meta: {},
      files: () => [path],
    });
  } finally {
    await file.close();
  }
}

/** `file#name` → both parts; a file that is really called so stays whole. */
export function splitFragment(given: string): { path: string; fragment: string | undefined } {
  const at = given.lastIndexOf('#');
  if (at < 0 || existsSync(given)) return { path: given, fragment: undefined };
  return { path: given.slice(0, at), fragment: given.slice(at + 1) };
}

const NAMES = ['latents', 'features'];
const LABELS = ['labels', 'label'];

const lastPart = (name: string): string => name.slice(name.lastIndexOf('.') + 1);
const prefixOf = (name: string): string => name.slice(0, name.lastIndexOf('.') + 1);

function chooseArray(given: string, arrays: Map<string, ArrayInfo>, fragment: string | undefined): string {
  const wanted = fragment === undefined ? NAMES : [fragment, ...NAMES.map(name => `${fragment}.${name}`)];
  const exact = wanted.find(name => arrays.has(name));
  if (exact !== undefined) return exact;
  const possible = [...arrays]
    .filter(([name, { shape }]) => shape.length > 1 && !LABELS.includes(lastPart(name)) && !name.endsWith('_flip'))
    .map(([name]) => name);
  if (fragment === undefined && possible.length === 1) return possible[0];
  const has = possible.join(', ') || 'no array of two axes or more';
  if (fragment !== undefined) throw new UserError(`${given}: there is no array ${fragment}; the file has ${has}`);
  if (possible.length === 0)
    throw new UserError(`${given}: has ${has}; latents are [N, C, H, W], [N, tokens, C] or [N, D]`);
  throw new UserError(`${given}: has ${has}; say which, e.g. ${given}#${possible[0]}`);
}

function labelName(latents: string, arrays: Map<string, ArrayInfo>): string | undefined {
  return LABELS.map(name => prefixOf(latents) + name).find(name => arrays.has(name));
}

async function openNamed(path: string): Promise<NamedArrays> {
  if (path.endsWith('.npy')) return await namedNpy(path);
  return path.endsWith('.npz') ? await namedNpz(path) : await namedSafetensors(path);
}

async function namedNpy(path: string): Promise<NamedArrays> {
  const file = await openNpy(path);
  return {
    arrays: new Map([['latents', { shape: file.shape, dtype: file.dtype }]]),
    read: () => file.read(),
    rows: () => Promise.resolve(file),
    close: () => file.close(),
  };
}

async function namedSafetensors(path: string): Promise<NamedArrays> {
  const file = await openSafetensors(path);
  return {
    arrays: file.tensors,
    read: name => file.read(name),
    rows: name =>
      Promise.resolve({
        shape: file.tensors.get(name)!.shape,
        readRows: (start, end) => file.readRows(name, start, end),
      }),
    close: () => file.close(),
  };
}

async function namedNpz(path: string): Promise<NamedArrays> {
  const file = await openNpz(path);
  try {
    const arrays = new Map<string, ArrayInfo>();
    for (const name of file.names) {
      const { shape, dtype } = await file.open(name);
      arrays.set(name, { shape, dtype });
    }
    return { arrays, read: name => file.read(name), rows: name => file.open(name), close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

import { existsSync } from 'node:fs';
import { UserError } from '../base/index.js';
import {
  classesFrom,
  openBytes,
  openNpy,
  openNpz,
  openSafetensors,
  type ArrayInfo,
  type NdArray,
  type NpyOptions,
  type TextArray,
} from '../io/index.js';
import { pieceOf, pieceStore, type OpenPiece, type RowArray } from './pieces.js';
import type { LatentsStore } from './store.js';

/** A file of named arrays, open. Only what is asked for is looked at: beside latents stands whatever their maker liked. */
interface NamedArrays {
  names: string[];
  info(name: string): Promise<ArrayInfo>;
  /** All arrays of numbers. */
  numbers(): Promise<Map<string, ArrayInfo>>;
  values(name: string): Promise<NdArray | TextArray>;
  rows(name: string): Promise<RowArray>;
  close(): Promise<void>;
}

/**
 * Latents in one .npy, .npz or .safetensors file. Which array: the one that `#name` after the path says (`#train` is
 * short for `#train.latents` or `#train.features`), else `latents`, else the only one that can be it. Its labels, numbers
 * or text, are called `labels`, under the same prefix; flipped copies end in `_flip`.
 */
export async function arrayFileStore(given: string, options: NpyOptions): Promise<LatentsStore> {
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
    return pieceStore([piece], {
      name: given,
      ...(labels && classesFrom(`${path}#${labels}`, await file.values(labels), piece.rows)),
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

async function chooseArray(given: string, file: NamedArrays, fragment: string | undefined): Promise<string> {
  const wanted = fragment === undefined ? NAMES : [fragment, ...NAMES.map(name => `${fragment}.${name}`)];
  const exact = wanted.find(name => file.names.includes(name));
  if (exact !== undefined) return exact;
  const possible = [...(await file.numbers())]
    .filter(([name, { shape }]) => shape.length > 1 && !LABELS.includes(lastPart(name)) && !name.endsWith('_flip'))
    .map(([name]) => name);
  if (fragment === undefined && possible.length === 1) return possible[0];
  const has = possible.join(', ') || 'no array of two axes or more';
  if (fragment !== undefined) throw new UserError(`${given}: there is no array ${fragment}; the file has ${has}`);
  if (possible.length === 0)
    throw new UserError(`${given}: has ${has}; latents are [N, C, H, W], [N, tokens, C] or [N, D]`);
  throw new UserError(`${given}: has ${has}; say which, e.g. ${given}#${possible[0]}`);
}

function labelName(latents: string, names: string[]): string | undefined {
  return LABELS.map(name => prefixOf(latents) + name).find(name => names.includes(name));
}

/** By what the file begins with: names are not always right. */
async function openNamed(path: string, options: NpyOptions): Promise<NamedArrays> {
  const kind = await kindOf(path);
  if (kind === 'safetensors') return await namedSafetensors(path);
  return kind === 'npz' ? await namedNpz(path, options) : await namedNpy(path, options);
}

const KINDS = ['npz', 'safetensors', 'npy'] as const;

/** Where a file begins like none of them, its name decides whose complaint is heard. */
async function kindOf(path: string): Promise<(typeof KINDS)[number]> {
  const source = await openBytes(path);
  try {
    const start = Buffer.from(await source.read(0, Math.min(9, source.size)));
    if (start.toString('latin1', 0, 2) === 'PK') return 'npz';
    if (start.toString('latin1', 1, 6) === 'NUMPY') return 'npy';
    // A header of JSON, after its length.
    if (start.length === 9 && start[8] === 0x7b && start.readBigUInt64LE(0) < source.size) return 'safetensors';
    return KINDS.find(kind => path.endsWith(`.${kind}`)) ?? 'npy';
  } finally {
    await source.close();
  }
}

async function namedNpy(path: string, options: NpyOptions): Promise<NamedArrays> {
  const file = await openNpy(path, options);
  const info = { shape: file.shape, dtype: file.dtype };
  return {
    names: ['latents'],
    info: () => Promise.resolve(info),
    numbers: () => Promise.resolve(new Map([['latents', info]])),
    values: () => file.read(),
    rows: () => Promise.resolve(file),
    close: () => file.close(),
  };
}

async function namedSafetensors(path: string): Promise<NamedArrays> {
  const { tensors, ...file } = await openSafetensors(path);
  return {
    names: [...tensors.keys()],
    info: name => Promise.resolve(tensors.get(name)!),
    numbers: () => Promise.resolve(tensors),
    values: name => file.read(name),
    rows: name =>
      Promise.resolve({
        shape: tensors.get(name)!.shape,
        readRows: (start, end) => file.readRows(name, start, end),
      }),
    close: () => file.close(),
  };
}

async function namedNpz(path: string, options: NpyOptions): Promise<NamedArrays> {
  const file = await openNpz(path);
  return {
    names: file.names,
    info: async name => {
      const array = await file.open(name, options);
      await array.close();
      return { shape: array.shape, dtype: array.dtype };
    },
    numbers: () => file.numbers(options),
    values: name => file.readValues(name),
    rows: name => file.open(name, options),
    close: () => file.close(),
  };
}

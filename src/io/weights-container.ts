import { UserError } from '../base/index.js';
import type { NdArray } from './array.js';
import type { ArrayFile, ArrayInfo } from './lazy.js';
import type { PtFile } from './pt.js';
import { TensorValue } from './pt-names.js';
import { listed } from './names.js';

/** Where checkpoints keep the record of weights, in the order in which a reader wants them: averaged ones first. */
const CONTAINERS = ['ema', 'model_ema', 'state_dict', 'model', 'module', 'params'];

/** What parallel and compiled training put before every name. */
const WRAPPERS = ['module.', '_orig_mod.'];

/** A file of flat names, or the part of it whose names begin with `key.`. */
export function selectContainer(path: string, file: ArrayFile, key: string | undefined): ArrayFile {
  const prefix = key === undefined ? '' : `${key}.`;
  const chosen = new Map([...file.tensors.keys()].filter(name => name.startsWith(prefix)).map(name => [name, name]));
  if (key !== undefined && chosen.size === 0)
    throw new UserError(`${path}: holds no tensors under ${key}; it has ${listed([...file.tensors.keys()])}`);
  const names = renamed(chosen, prefix);
  const original = (name: string): string => names.get(name) ?? name;
  return {
    tensors: new Map([...names].map(([name, from]) => [name, file.tensors.get(from)!])),
    metadata: key === undefined ? file.metadata : { ...file.metadata, key },
    read: name => file.read(original(name)),
    close: () => file.close(),
  };
}

/** The tensors of one record within what a checkpoint holds. */
export function selectFromTree(pt: PtFile, key: string | undefined): ArrayFile {
  const { record, key: chosen, prefix } = key === undefined ? defaultRecord(pt) : recordAt(pt, key);
  const found = new Map<string, TensorValue>();
  collect(record, '', found, new Set());
  const kept = new Map([...found].filter(([name]) => name.startsWith(prefix)));
  if (kept.size === 0)
    throw new UserError(
      `${pt.name}: holds no tensors${key === undefined ? '' : ` under ${key}`}; it has ${keysOf(pt)}`,
    );
  const tensors = renamed(kept, prefix);
  return {
    tensors: new Map<string, ArrayInfo>(tensors),
    metadata: chosen === '' ? {} : { key: chosen },
    read: async (name): Promise<NdArray> => {
      const tensor = tensors.get(name);
      if (!tensor) throw new UserError(`${pt.name}: holds no tensor ${name}; it has ${listed([...tensors.keys()])}`);
      return await pt.read(tensor, name);
    },
    close: () => pt.close(),
  };
}

interface ChosenRecord {
  record: unknown;
  /** The path of keys that led there. */
  key: string;
  /** What the names must still begin with. */
  prefix: string;
}

function defaultRecord({ value }: PtFile): ChosenRecord {
  let record = value;
  const path: string[] = [];
  while (record instanceof Map && ![...record.values()].some(item => item instanceof TensorValue)) {
    const here: Map<unknown, unknown> = record;
    // DataParallel's and Lightning's records can stand one within the other.
    const next = CONTAINERS.find(
      name => here.get(name) instanceof Map && (here.get(name) as Map<unknown, unknown>).size,
    );
    if (next === undefined || path.length > 4) break;
    path.push(next);
    record = here.get(next);
  }
  return { record, key: path.join('.'), prefix: '' };
}

/** Follows `key` through the dicts as far as it leads; the rest is a prefix of names. */
function recordAt({ value }: PtFile, key: string): ChosenRecord {
  let record = value;
  const words = key.split('.');
  while (words.length > 0 && record instanceof Map && record.get(words[0]) instanceof Map)
    record = record.get(words.shift()!);
  return { record, key, prefix: words.map(word => `${word}.`).join('') };
}

/** Tensors in nested dicts and lists, by dotted names; each container once, however the file shares them. */
function collect(value: unknown, name: string, found: Map<string, TensorValue>, seen: Set<unknown>): void {
  if (value instanceof TensorValue) {
    found.set(name, value);
    return;
  }
  if (!(value instanceof Map) && !Array.isArray(value)) return;
  if (seen.has(value)) return;
  seen.add(value);
  const under = name === '' ? '' : `${name}.`;
  for (const [key, item] of value.entries() as Iterable<[unknown, unknown]>)
    collect(item, `${under}${String(key)}`, found, seen);
}

/** Cuts `prefix` and then wrappers off the names; a wrapper only where every name has it. */
function renamed<T>(entries: Map<string, T>, prefix: string): Map<string, T> {
  let names = [...entries].map(([name, value]) => [name.slice(prefix.length), value] as const);
  for (
    let wrapper;
    (wrapper = WRAPPERS.find(word => names.length > 0 && names.every(([name]) => name.startsWith(word))));
  ) {
    const length = wrapper.length;
    names = names.map(([name, value]) => [name.slice(length), value]);
  }
  return new Map(names);
}

const keysOf = ({ value }: PtFile): string =>
  value instanceof Map ? listed([...value.keys()].map(String)) : 'no dict';

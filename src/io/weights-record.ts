import { UserError } from '../base/index.js';
import { listed } from './listed.js';
import type { WeightsName } from './names.js';
import type { PtFile } from './pt.js';
import { TensorValue, UnreadTensor } from './pt-names.js';
import { AVERAGED, isCounter } from './weights-names.js';

/** Where checkpoints keep the record of weights that are not averaged, in the order in which a reader wants them. */
const TRAINED = [
  ...['state_dict', 'model_state_dict', 'model_state', 'model', 'module', 'params', 'net', 'network'],
  ...['weights', 'autoencoder', 'vae', 'vae_wo_ddp', 'tokenizer', 'generator'],
];

/** State that training stores in order to resume: its tensors are not weights. */
const TRAINING_STATE = /optim|scheduler|^(\w+_)?scaler$|callbacks?$|^opt(_|$)|^loops$|(^|_)rng(_|$)/i;

/** Halves of one network, which are read together. */
const PARTS = new Set(['encoder', 'decoder']);

/** One record within what a checkpoint holds. */
export interface ChosenRecord {
  record: unknown;
  /** The path of keys that led there. */
  key: string;
  /** What the names must still begin with. */
  prefix: string;
  /** Paths of other records that hold weights. */
  others: string[];
}

/** The weights that a reader most likely wants: averaged ones first (`ema`), or those under training only (`raw`). */
export function defaultRecord({ name, value }: PtFile, weights: WeightsName): ChosenRecord {
  const order = weights === 'ema' ? [...AVERAGED, ...TRAINED] : TRAINED;
  const count = weightCounter();
  const path: string[] = [];
  const others: string[] = [];
  let record = value;
  // Lightning's and DataParallel's records can stand one within the other.
  while (path.length < 5) {
    const records = recordsIn(record, count);
    if (weights === 'raw' && AVERAGED.some(word => records.delete(word)) && records.size === 0)
      throw new UserError(`${name}: holds averaged weights only; do not ask for raw ones`);
    const next = nextRecord(record, records, order, count);
    if (next === undefined) break;
    others.push(...[...records.keys()].filter(word => word !== next).map(word => [...path, word].join('.')));
    path.push(next);
    record = records.get(next);
  }
  return { record, key: path.join('.'), prefix: '', others };
}

/** Follows `key` through the dicts and lists as far as it leads; the rest is a prefix of names. */
export function recordAt({ value }: PtFile, key: string): ChosenRecord {
  let record = value;
  const words = key === '' ? [] : key.split('.');
  for (let inner; words.length > 0 && isContainer((inner = entriesOf(record).get(words[0]))); words.shift())
    record = inner;
  return { record, key, prefix: words.map(word => `${word}.`).join(''), others: [] };
}

/** Tensors in nested dicts and lists, by dotted names. */
export function tensorsIn({ record }: ChosenRecord, chosenByUser: boolean): Map<string, TensorValue | UnreadTensor> {
  const found = new Map<string, TensorValue | UnreadTensor>();
  const isWhole = chosenByUser || recordsIn(record, weightCounter()).size === 0;
  collect(isWhole ? record : weightsOf(record), '', found, new Set());
  return found;
}

/** Several records that belong together, without what training keeps beside them. */
const weightsOf = (level: unknown): Map<string, unknown> =>
  new Map([...entriesOf(level)].filter(([key, item]) => !isTrainingState(key, item) && !isBeside(key, item)));

/** The keys of a checkpoint, for a message. */
export const keysOf = ({ value }: PtFile): string =>
  isContainer(value) ? listed([...entriesOf(value).keys()]) : 'no dict';

type Container = Map<unknown, unknown> | unknown[];

const isContainer = (value: unknown): value is Container => value instanceof Map || Array.isArray(value);

const entriesOf = (value: unknown): Map<string, unknown> =>
  isContainer(value)
    ? new Map([...(value.entries() as Iterable<[unknown, unknown]>)].map(([key, item]) => [String(key), item]))
    : new Map<string, unknown>();

type WeightCounter = (value: unknown) => number;

/** Named tensors in nested dicts, counters aside. Each dict is counted once, however the file shares them. */
function weightCounter(): WeightCounter {
  const counts = new Map<unknown, number>();
  const count = (value: unknown): number => {
    if (!(value instanceof Map)) return 0;
    const known = counts.get(value);
    if (known !== undefined) return known;
    counts.set(value, 0);
    let sum = 0;
    for (const [key, item] of value as Map<unknown, unknown>)
      sum += item instanceof TensorValue ? Number(!isCounter(String(key), item)) : count(item);
    counts.set(value, sum);
    return sum;
  };
  return count;
}

/** The dicts of a level that hold weights. */
const recordsIn = (level: unknown, count: WeightCounter): Map<string, unknown> =>
  new Map([...entriesOf(level)].filter(([key, item]) => !isTrainingState(key, item) && count(item) > 0));

function nextRecord(
  level: unknown,
  records: Map<string, unknown>,
  order: string[],
  count: WeightCounter,
): string | undefined {
  const tensors = [...entriesOf(level)].filter(
    (entry): entry is [string, TensorValue] => entry[1] instanceof TensorValue,
  );
  const named = order.find(word => records.has(word));
  if (named !== undefined) {
    // Names with a dot are a network's own, with a record of another kind beside them.
    const own = tensors.filter(([name]) => name.includes('.')).length;
    return own < count(records.get(named)) ? named : undefined;
  }
  if (records.size !== 1 || !tensors.every(([name, tensor]) => isBeside(name, tensor))) return undefined;
  const [[only, record]] = records;
  return isStateDict(record, order) && !PARTS.has(only) ? only : undefined;
}

/** A state dict's names have dots, those of nested dicts of parameters don't. */
const isStateDict = (record: unknown, order: string[]): boolean =>
  [...entriesOf(record)].some(
    ([name, item]) =>
      (item instanceof TensorValue && name.includes('.')) || (item instanceof Map && order.includes(name)),
  );

const isTrainingState = (key: string, value: unknown): boolean =>
  TRAINING_STATE.test(key) || (value instanceof Map && value.has('param_groups'));

/** A counter's tensor, or a generator's state. */
const isBeside = (key: string, value: unknown): boolean =>
  value instanceof TensorValue && (isCounter(key, value) || (value.dtype === 'uint8' && !key.includes('.')));

/** Each container once, however the file shares them. */
function collect(
  value: unknown,
  name: string,
  found: Map<string, TensorValue | UnreadTensor>,
  seen: Set<unknown>,
): void {
  if (value instanceof TensorValue || value instanceof UnreadTensor) {
    found.set(name, value);
    return;
  }
  if (!isContainer(value) || seen.has(value)) return;
  seen.add(value);
  const under = name === '' ? '' : `${name}.`;
  for (const [key, item] of value.entries() as Iterable<[unknown, unknown]>)
    collect(item, `${under}${String(key)}`, found, seen);
}

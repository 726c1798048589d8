import { silentLog, UserError, type Log } from '../base/index.js';
import type { ArrayFile } from './lazy.js';
import { listed } from './listed.js';
import type { NamelessDType, WeightsName } from './names.js';
import type { PtFile } from './pt.js';
import { TensorValue } from './pt-names.js';
import { weightNames, withoutWrappers } from './weights-names.js';
import { defaultRecord, keysOf, recordAt, tensorsIn, type ChosenRecord } from './weights-record.js';

export interface WeightsChoice {
  /**
   * Which of several records of tensors in the file: a path of dict keys such as `ema` or `model.encoder`, or a prefix
   * of the tensors' names. Default: the averaged weights where there are any (`ema`, `model_ema`, `state_dict_ema`, …),
   * else those under training (`state_dict`, `model`, `params`, …). `metadata.key` says which it was.
   */
  key?: string | undefined;
  /** `raw`: never the averaged weights. */
  weights?: WeightsName | undefined;
  /** What an .npz holds where NumPy did not store the name of the type. */
  nameless?: NamelessDType | undefined;
  /** Told which record was taken, what was left out and what cannot be read. */
  log?: Log | undefined;
}

/** The tensors of one record within what a checkpoint holds, under their network's names. */
export function selectFromTree(pt: PtFile, { key, weights = 'ema', log }: WeightsChoice = {}): ArrayFile {
  const chosen = key === undefined ? defaultRecord(pt, weights) : recordAt(pt, key);
  return networkWeights(pt.name, recordFile(pt, chosen, key), chosen, log);
}

/** All tensors that a checkpoint holds, under their own names. */
export const flatTree = (pt: PtFile): ArrayFile => recordFile(pt, recordAt(pt, ''), '');

function recordFile(pt: PtFile, chosen: ChosenRecord, key: string | undefined): ArrayFile {
  const tensors = new Map<string, TensorValue>();
  const unread = new Map<string, string>();
  for (const [name, tensor] of tensorsIn(chosen, key !== undefined)) {
    if (!name.startsWith(chosen.prefix)) continue;
    if (tensor instanceof TensorValue) tensors.set(name.slice(chosen.prefix.length), tensor);
    else unread.set(name.slice(chosen.prefix.length), tensor.kind);
  }
  if (tensors.size + unread.size === 0)
    throw new UserError(
      `${pt.name}: holds no tensors${key === undefined ? '' : ` under ${key}`}; it has ${keysOf(pt)}`,
    );
  return {
    tensors,
    unread,
    metadata: chosen.key === '' ? {} : { key: chosen.key },
    read: (name: string) => pt.read(tensors.get(name)!, name),
    close: () => pt.close(),
  };
}

/** A file of flat names, or the part of it whose names begin with `key.`, under their network's names. */
export function selectContainer(path: string, file: ArrayFile, { key = '', log }: WeightsChoice = {}): ArrayFile {
  if (key === '') return networkWeights(path, file, { key, others: [] }, log);
  const prefix = `${key}.`;
  const under = <T>(entries: Iterable<[string, T]>): Map<string, T> =>
    new Map(
      [...entries].filter(([name]) => name.startsWith(prefix)).map(([name, of]) => [name.slice(prefix.length), of]),
    );
  const part = {
    ...file,
    tensors: under(file.tensors),
    unread: under(file.unread ?? []),
    metadata: { ...file.metadata, key },
    read: (name: string) => file.read(prefix + name),
    ...(file.readSync && { readSync: (name: string) => file.readSync!(prefix + name) }),
  };
  if (part.tensors.size + part.unread.size === 0)
    throw new UserError(`${path}: holds no tensors under ${key}; it has ${listed([...file.tensors.keys()])}`);
  return networkWeights(path, part, { key, others: [] }, log);
}

/** Wrappers taken out of the names, and the user told what was taken and what left. */
function networkWeights(
  path: string,
  file: ArrayFile,
  record: { key: string; others: string[] },
  log: Log = silentLog,
): ArrayFile {
  const { names, counters, cut, taken } = weightNames(file.tensors);
  const key = [record.key, ...(taken ? [taken.prefix.slice(0, -1)] : [])].filter(word => word !== '').join('.');
  const others = [...record.others, ...(taken?.others ?? [])];
  if (key !== '')
    log.note(
      `${path}: weights of its record ${key}` +
        (others.length === 0 ? '' : `; it also has ${listed(others)} (maetok convert ${path} --key ${others[0]})`),
    );
  if (!taken && cut.includes('model.')) log.note(`${path}: removed ${cut} from all names`);
  if (counters.length > 0) log.note(`${path}: left out ${listed(counters)}, which are counters, not weights`);
  const unread = new Map([...(file.unread ?? [])].map(([name, kind]) => [withoutWrappers(name), kind]));
  const passedOver = listed([...unread].map(([name, kind]) => `${name} (${kind})`));
  if (unread.size > 0) log.warn(`${path}: skipped ${passedOver}: not dense real numbers`);
  const storedName = (name: string): string => {
    const from = names.get(name);
    if (from !== undefined) return from;
    throw new UserError(`${path}: holds no tensor ${name}; it has ${listed([...names.keys()])}`);
  };
  if (names.size === 0 && unread.size > 0)
    throw new UserError(`${path}: holds no tensors of dense real numbers, only ${passedOver}`);
  return {
    tensors: new Map([...names].map(([name, from]) => [name, file.tensors.get(from)!])),
    unread,
    metadata: key === '' ? file.metadata : { ...file.metadata, key },
    read: async name => await file.read(storedName(name)),
    ...(file.readSync && { readSync: (name: string) => file.readSync!(storedName(name)) }),
    close: () => file.close(),
  };
}

import { elementCount } from './array.js';
import type { ArrayInfo } from './lazy.js';

/** Wrapper names added by torch.compile, FSDP and activation checkpointing; no network uses them itself. */
const WRAPPERS = new Set(['_orig_mod', '_fsdp_wrapped_module', '_fpw_module', '_checkpoint_wrapped_module']);

/** Prefixes that parallel training, AveragedModel and Lightning put before every name. */
const LEADING = /^(module|model)\./;
const LEADING_ONCE = 'model.';

/** The first word of a latent diffusion model's names, which keep their published form. */
const PUBLISHED = /^model\.diffusion_model\./;

/** Halves of a tokenizer, which may be wrapped one by one. */
const PART = /^(encoder|decoder)\.module\./;

/** Records of averaged weights, as trainers call them. */
export const AVERAGED = [
  ...['ema', 'model_ema', 'ema_state_dict', 'state_dict_ema', 'ema_model', 'ema_model_state_dict'],
  ...['model_ema_state_dict', 'params_ema', 'ema_params', 'ema_weights', 'averaged_model', 'vae_ema'],
];

/** Names of the tensors in a file → the names that a network knows them by. */
export interface WeightNames {
  /** New name → name in the file. */
  names: Map<string, string>;
  /** Counters of a wrapper (AveragedModel's `n_averaged`), which are not weights. */
  counters: string[];
  /** The prefix removed from every name. */
  cut: string;
  /** The prefix whose tensors were taken, where others are the same weights before averaging. */
  taken?: { prefix: string; others: string[] } | undefined;
}

/** A number beside the weights: how many updates, the best accuracy. Weights of a module have a dot in their names. */
export const isCounter = (name: string, { shape, dtype }: ArrayInfo): boolean =>
  !name.includes('.') && (shape.length === 0 || (elementCount(shape) === 1 && !dtype.includes('float')));

/** Takes wrappers out of the names: those of one module wherever they stand, those of all where every weight has them. */
export function weightNames(tensors: Map<string, ArrayInfo>): WeightNames {
  const counters = [...tensors].filter(([name, info]) => isCounter(name, info)).map(([name]) => name);
  let names = [...tensors.keys()]
    .filter(name => !counters.includes(name))
    .map((name): [string, string] => [withoutWrappers(name), name]);
  const taken = averagedOf(names);
  if (taken) names = names.filter(([name]) => name.startsWith(taken.prefix));
  let cut = '';
  const cutAll = (length: number): void => {
    cut += names[0][0].slice(0, length);
    names = names.map(([name, from]) => [name.slice(length), from]);
  };
  if (taken) cutAll(taken.prefix.length);
  for (let length; (length = leadingLength(names, cut)) > 0;) cutAll(length);
  names = withoutPartWrappers(names);
  // Two tensors of one name would lose one of them: then the file's names are its own.
  if (new Set(names.map(([name]) => name)).size < names.length) names = names.map(([, from]) => [from, from]);
  const dropped = cut === '' ? [] : counters;
  const kept = cut === '' ? counters.map((name): [string, string] => [name, name]) : [];
  return { names: new Map([...names, ...kept]), counters: dropped, cut, taken };
}

/** `encoder._orig_mod.weight` → `encoder.weight`. */
export const withoutWrappers = (name: string): string =>
  name
    .split('.')
    .filter(word => !WRAPPERS.has(word))
    .join('.');

/** How much of the first name is a wrapper's that all names have. */
function leadingLength(names: [string, string][], cut: string): number {
  const [prefix] = LEADING.exec(names[0]?.[0] ?? '') ?? [''];
  if (prefix === LEADING_ONCE && cut.endsWith(prefix)) return 0;
  const isCommon = names.every(([name]) => name.startsWith(prefix) && !PUBLISHED.test(name));
  return isCommon ? prefix.length : 0;
}

function withoutPartWrappers(names: [string, string][]): [string, string][] {
  const parts = ['encoder.', 'decoder.'].filter(part => {
    const own = names.filter(([name]) => name.startsWith(part));
    return own.length > 0 && own.every(([name]) => PART.test(name));
  });
  return names.map(([name, from]) => {
    const part = parts.find(prefix => name.startsWith(prefix));
    return [part === undefined ? name : part + name.slice(`${part}module.`.length), from];
  });
}

/** Where a file holds the same names twice, before and after averaging, and nothing else: the averaged ones. */
function averagedOf(names: [string, string][]): WeightNames['taken'] {
  const groups = new Map<string, string[]>();
  for (const [name] of names) {
    const first = name.split('.', 1)[0];
    groups.set(first, [...(groups.get(first) ?? []), name.slice(first.length)]);
    if (groups.size > 3) return undefined;
  }
  const average = AVERAGED.find(name => groups.has(name));
  if (average === undefined || groups.size < 2) return undefined;
  const inner = groups.get(average)!.sort().join('\n');
  const others = [...groups.keys()].filter(name => name !== average);
  if (!others.every(name => groups.get(name)!.sort().join('\n') === inner)) return undefined;
  return { prefix: `${average}.`, others };
}

import { existsSync } from 'node:fs';
import { basename, dirname, extname, resolve } from 'node:path';
import { UserError } from '../base/index.js';
import { hiddenStatesName, isHiddenStates } from '../jobs/hidden-states/options.js';

export interface NamedInput {
  /** What the `source` column calls it. */
  name: string;
  path: string;
}

/** `mae=latents/mae` is called mae; an unnamed input is called after the last part of its path, without extension. */
export function namedInput(input: string): NamedInput {
  // A later `=` belongs to the input itself: `synthetic:scenes?count=50`.
  const named = /^([^=/:?]+)=(.+)$/.exec(input);
  if (named && !existsSync(input)) return { name: named[1], path: named[2] };
  if (isHiddenStates(input)) return { name: hiddenStatesName(input), path: input };
  return { name: basename(input, extname(input)), path: input };
}

/**
 * Names several inputs: unnamed ones that would get the same name are called after their folders,
 * `sit/mae/loss.csv` mae. @throws UserError where that does not tell them apart.
 */
export function namedInputs(inputs: string[]): NamedInput[] {
  const isAlike = ({ name }: NamedInput): boolean => named.filter(other => other.name === name).length > 1;
  let named = inputs.map(namedInput);
  const first = named.find(isAlike);
  const follows = named.map(input => isAlike(input) && input.name === namedInput(input.path).name);
  let folders = named.map(({ path }) => dirname(resolve(path)));
  while (named.some(isAlike)) {
    if (folders.every(folder => folder === dirname(folder)))
      throw new UserError(`two inputs are called ${first!.name}; name them apart: a=PATH b=PATH`);
    named = named.map((input, i) => (follows[i] ? { ...input, name: basename(folders[i]) || folders[i] } : input));
    folders = folders.map(dirname);
  }
  return named;
}

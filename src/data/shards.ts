import { basename, dirname, join } from 'node:path';
import { entries } from './sources/folder.js';

/** Forms of files of which one data set has several. */
export const SHARD_KINDS = ['parquet', 'arrow', 'tar'] as const;
export type ShardKind = (typeof SHARD_KINDS)[number];

const ENDINGS: Record<ShardKind, RegExp> = {
  parquet: /\.(parquet|pq)$/i,
  arrow: /\.(arrow|feather)$/i,
  tar: /\.(tar|tgz|tar\.gz)$/i,
};

export const shardKind = (path: string): ShardKind | undefined => SHARD_KINDS.find(kind => ENDINGS[kind].test(path));

/** What `datasets` keeps of its intermediate steps, beside the data set itself. */
const isIntermediate = (name: string): boolean => /^(cache|tmp)-/.test(name);

/** A folder's shards of one kind. */
export function shardsIn(files: string[], kind: ShardKind): string[] {
  const all = files.filter(name => ENDINGS[kind].test(name));
  const own = all.filter(name => !isIntermediate(name));
  return own.length > 0 ? own : all;
}

/** A data set's name by that of one of its shards: without ending and number, `train-00000-of-00005.parquet` is `train`. */
export const shardName = (path: string): string =>
  basename(path)
    .replace(/\.(parquet|pq|arrow|feather|tar|tgz)(\.gz)?$/i, '')
    .replace(/[-_.]?\d+-of-\d+(-[0-9a-f]+)?$/, '') || basename(dirname(path));

/** Words in the names of shards that say to which split they belong. */
const SPLITS: Record<'train' | 'val' | 'test', RegExp> = {
  train: /(^|[-_.])train(ing)?([-_.]|$)/i,
  val: /(^|[-_.])(val(id(ation)?)?|dev)([-_.]|$)/i,
  test: /(^|[-_.])test([-_.]|$)/i,
};

/**
 * Shards by the split in their names. Where there are none of validation, those of a test are taken for it; where there
 * are both, the test's are `left`. Shards without such words go with train's; without any of train all are one part.
 */
export function splitsOf(paths: string[]): { train: string[]; val: string[]; left: string[] } {
  const splitOf = (path: string): string | undefined =>
    (['train', 'val', 'test'] as const).find(split => SPLITS[split].test(basename(path)));
  const of = (split: string): string[] => paths.filter(path => splitOf(path) === split);
  const [train, val, test] = [of('train'), of('val'), of('test')];
  if (train.length === 0 || val.length + test.length === 0) return { train: paths, val: [], left: [] };
  const unnamed = paths.filter(path => splitOf(path) === undefined);
  const own = unnamed.length === 0 ? train : paths.filter(path => !val.includes(path) && !test.includes(path));
  return val.length > 0 ? { train: own, val, left: test } : { train: own, val: test, left: [] };
}

/** Files whose names fit a pattern (`*` for anything) in its last part, in byte order. */
export function matching(pattern: string): string[] {
  const parts = basename(pattern)
    .split('*')
    .map(part => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const fits = new RegExp(`^${parts.join('.*')}$`);
  return entries(dirname(pattern))
    .files.filter(name => fits.test(name))
    .map(name => join(dirname(pattern), name));
}

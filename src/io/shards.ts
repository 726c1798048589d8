import { basename, dirname, join } from 'node:path';
import { UserError } from '../base/index.js';
import { readJson } from './documents.js';
import type { ArrayFile, ArrayInfo } from './lazy.js';

/** Several files that an index names as one. */
export interface Shards<F extends ArrayFile> extends ArrayFile {
  /** The file that holds a tensor. */
  holder(tensor: string): F;
}

/** Opens all files of an index as Hugging Face writes it: `{ "weight_map": { tensor: file } }`. */
export async function openShards<F extends ArrayFile>(
  path: string,
  open: (path: string) => Promise<F>,
): Promise<Shards<F>> {
  const map = await readWeightMap(path);
  const files = new Map<string, F>();
  const close = async (): Promise<void> => {
    for (const file of files.values()) await file.close();
  };
  const holder = (tensor: string): F => {
    const file = files.get(map.get(tensor) ?? '');
    if (!file) throw new UserError(`${path}: names no tensor ${tensor}`);
    return file;
  };
  try {
    for (const name of new Set(map.values())) files.set(name, await open(join(dirname(path), name)));
    const tensors = new Map<string, ArrayInfo>();
    const unread = new Map([...files.values()].flatMap(file => [...(file.unread ?? [])]));
    for (const [tensor, name] of map) {
      const info = holder(tensor).tensors.get(tensor);
      if (!info && unread.has(tensor)) continue;
      if (!info) throw new UserError(`${path}: names tensor ${tensor} in ${name}, which does not hold it`);
      tensors.set(tensor, info);
    }
    const metadata = Object.assign({}, ...[...files.values()].map(file => file.metadata)) as Record<string, string>;
    const all = [...files.values()];
    return {
      tensors,
      unread,
      metadata,
      holder,
      read: tensor => holder(tensor).read(tensor),
      ...(all.every(({ readSync }) => readSync) && { readSync: (tensor: string) => holder(tensor).readSync!(tensor) }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readWeightMap(path: string): Promise<Map<string, string>> {
  const content = await readJson(path, 'an index of shards');
  const map = (content as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null)
    throw new UserError(`${path}: has no "weight_map"; it is not an index of shards`);
  return new Map(
    Object.entries(map).map(([tensor, file]) => {
      // A name, never a path: an index must not make us read outside its own folder.
      if (typeof file !== 'string' || file !== basename(file) || file === '..')
        throw new UserError(`${path}: tensor ${tensor}: its file must be a name in the same folder`);
      return [tensor, file];
    }),
  );
}

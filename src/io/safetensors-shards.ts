import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf, UserError } from '../base/index.js';
import type { ArrayInfo } from './lazy.js';
import type { SafetensorsFile } from './safetensors.js';

/** Several files as one, by an index as Hugging Face writes it: `{ "weight_map": { tensor: file } }`. */
export async function openShards(
  path: string,
  open: (path: string) => Promise<SafetensorsFile>,
): Promise<SafetensorsFile> {
  const map = await readWeightMap(path);
  const files = new Map<string, SafetensorsFile>();
  const close = async (): Promise<void> => {
    for (const file of files.values()) await file.close();
  };
  try {
    for (const name of new Set(map.values())) files.set(name, await open(join(dirname(path), name)));
    const tensors = new Map<string, ArrayInfo>();
    for (const [tensor, name] of map) {
      const info = files.get(name)!.tensors.get(tensor);
      if (!info) throw new UserError(`${path}: names tensor ${tensor} in ${name}, which does not hold it`);
      tensors.set(tensor, info);
    }
    const holder = (tensor: string): SafetensorsFile => {
      const name = map.get(tensor);
      if (name === undefined) throw new UserError(`${path}: names no tensor ${tensor}`);
      return files.get(name)!;
    };
    const metadata = Object.assign({}, ...[...files.values()].map(file => file.metadata)) as Record<string, string>;
    return {
      tensors,
      metadata,
      read: tensor => holder(tensor).read(tensor),
      readRows: (tensor, start, end) => holder(tensor).readRows(tensor, start, end),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readWeightMap(path: string): Promise<Map<string, string>> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new UserError(`${path}: cannot be read as an index of shards: ${messageOf(error)}`);
  }
  const map = (content as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null)
    throw new UserError(`${path}: has no "weight_map"; it is no index of shards`);
  return new Map(
    Object.entries(map).map(([tensor, file]) => {
      // A name, never a path: an index cannot make us read beside its own folder.
      if (typeof file !== 'string' || file !== basename(file) || file === '..')
        throw new UserError(`${path}: tensor ${tensor}: its file must be a name in the same folder`);
      return [tensor, file];
    }),
  );
}

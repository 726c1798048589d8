import { UserError } from '../base/index.js';
import { bytesPer, decode, elementCount, widened, type NdArray } from './array.js';
import { writeAtomic, type AtomicOptions } from './atomic.js';
import { openBytes, type ByteSource } from './bytes.js';
import { readAllArrays, type ArrayFile, type LazyArray } from './lazy.js';
import { listed } from './listed.js';
import { encodeChecked } from './narrow.js';
import { readSafetensorsHeader, safetensorsHeader, type TensorEntry } from './safetensors-header.js';
import { openShards } from './shards.js';

/** A safetensors file, or several that an index names as one. Numbers are read when asked for. */
export interface SafetensorsFile extends ArrayFile {
  /** Rows `start` to `end` (exclusive) of a tensor's first axis. */
  readRows(name: string, start: number, end: number): Promise<NdArray>;
}

/**
 * Opens a .safetensors file, or with it all files that a `*.safetensors.index.json` names. The header is checked as a
 * whole: what is opened can be read.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  if (!path.endsWith('.index.json')) return await openOne(path);
  const shards = await openShards(path, openOne);
  return { ...shards, readRows: (name, start, end) => shards.holder(name).readRows(name, start, end) };
}

/** Every tensor of a file. */
export async function readSafetensors(path: string): Promise<Record<string, NdArray>> {
  const file = await openSafetensors(path);
  try {
    return await readAllArrays(file);
  } finally {
    await file.close();
  }
}

export interface SafetensorsOptions extends AtomicOptions {
  metadata?: Record<string, string>;
}

/** Writes tensors, whole or not at all. The same tensors and metadata give the same bytes. */
export async function writeSafetensors(
  path: string,
  arrays: Record<string, NdArray | LazyArray>,
  { metadata = {}, force }: SafetensorsOptions = {},
): Promise<void> {
  const { bytes, order } = safetensorsHeader(Object.entries(arrays), metadata);
  await writeAtomic(path, { force }, async file => {
    await file.writeFile(bytes);
    for (const name of order) {
      const array = arrays[name];
      const { data } = 'read' in array ? await array.read() : array;
      await file.writeFile(encodeChecked(`${path}: tensor ${name}`, { shape: array.shape, dtype: array.dtype, data }));
    }
  });
}

async function openOne(path: string): Promise<SafetensorsFile> {
  const source = await openBytes(path);
  try {
    return await safetensorsFrom(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** A safetensors file over bytes from any source. */
export async function safetensorsFrom(source: ByteSource): Promise<SafetensorsFile> {
  const { tensors, unread, metadata } = await readSafetensorsHeader(source);
  const entry = (name: string): TensorEntry => {
    const found = tensors.get(name);
    if (!found) throw new UserError(`${source.name}: holds no tensor ${name}; it has ${listed([...tensors.keys()])}`);
    return found;
  };
  return {
    tensors,
    unread,
    metadata,
    async read(name) {
      const { start, bytes, dtype, shape } = entry(name);
      return { shape, dtype: widened(dtype), data: decode(await source.read(start, bytes), dtype) };
    },
    ...(source.readSync && {
      readSync: (name: string): NdArray => {
        const { start, bytes, dtype, shape } = entry(name);
        return { shape, dtype: widened(dtype), data: decode(source.readSync!(start, bytes), dtype) };
      },
    }),
    async readRows(name, first, end) {
      const { start, dtype, shape } = entry(name);
      const rowBytes = elementCount(shape.slice(1)) * bytesPer(dtype);
      if (first < 0 || end < first || end > shape[0])
        throw new RangeError(`${source.name}: rows ${first} to ${end} of tensor ${name}, which has ${shape[0]}`);
      const bytes = await source.read(start + first * rowBytes, (end - first) * rowBytes);
      return { shape: [end - first, ...shape.slice(1)], dtype: widened(dtype), data: decode(bytes, dtype) };
    },
    close: () => source.close(),
  };
}

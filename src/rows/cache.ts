import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RowSource } from './source.js';
import { openBytes } from '../io/index.js';
import { arrayRows, lazyRows } from './sources.js';

export interface CachedRows {
  rows: RowSource;
  /** Where they lie if they were too many for memory. */
  file?: string;
  dispose(): Promise<void>;
}

/**
 * Reads `source` once and keeps its rows, so that later passes cost nothing: in memory where they fit into `memory`
 * bytes, else in a temporary file within `folder`.
 */
export async function cachedRows(source: RowSource, memory: number, folder = tmpdir()): Promise<CachedRows> {
  const { name, rows, width, labels } = source;
  if (rows * width * 4 <= memory) {
    const data = new Float32Array(rows * width);
    for await (const chunk of source.chunks())
      data.set(chunk.data.subarray(0, chunk.rows * width), chunk.start * width);
    return { rows: arrayRows(name, data, rows, width, labels), dispose: () => Promise.resolve() };
  }
  const place = await mkdtemp(join(folder, 'maetok-rows-'));
  const path = join(place, 'rows.f32');
  const dispose = (): Promise<void> => rm(place, { recursive: true, force: true });
  try {
    const file = await open(path, 'w');
    try {
      for await (const { data, rows: count } of source.chunks())
        await file.writeFile(new Uint8Array(data.buffer, data.byteOffset, count * width * 4));
    } finally {
      await file.close();
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  const read = lazyRows({ name, rows, width, labels }, async () => {
    const bytes = await openBytes(path);
    return {
      readRows: async (start, end) => {
        const data = new Float32Array((await bytes.read(start * width * 4, (end - start) * width * 4)).buffer);
        return { shape: [end - start, width], dtype: 'float32', data };
      },
      close: () => bytes.close(),
    };
  });
  return { rows: read, file: path, dispose };
}

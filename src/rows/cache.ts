import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Share } from '../distributed/index.js';
import type { RowSource } from './source.js';
import { openBytes } from '../io/index.js';
import { arrayRows, lazyRows } from './sources.js';

export interface CachedRows {
  rows: RowSource;
  /** Where they lie if they were too many for memory. */
  file?: string;
  dispose(): Promise<void>;
}

export interface CacheOptions {
  /** For what does not fit into memory. */
  folder?: string;
  /** The only rows that will be asked for; the others are not read. */
  share?: Share | undefined;
}

/**
 * Reads `source` once and keeps its rows, so that later passes cost nothing: in memory where they fit into `memory`
 * bytes, else in a temporary file.
 */
export async function cachedRows(source: RowSource, memory: number, options: CacheOptions = {}): Promise<CachedRows> {
  const { folder = tmpdir(), share = { start: 0, end: source.rows } } = options;
  const kept = await keptRows(source, memory, share, folder);
  return { ...kept, rows: placed(kept.rows, source, share) };
}

/** Rows of a share under the numbers that they have in the whole. */
function placed(rows: RowSource, whole: RowSource, share: Share): RowSource {
  if (rows.rows === whole.rows) return rows;
  const { name, width, labels } = whole;
  return {
    ...{ name, width, labels, rows: whole.rows },
    async *chunks({ start = 0, end = whole.rows, ...options } = {}) {
      if (start < share.start || end > share.end)
        throw new RangeError(`${name}: rows ${start} to ${end} of a share from ${share.start} to ${share.end}`);
      const within = { ...options, start: start - share.start, end: end - share.start };
      for await (const chunk of rows.chunks(within)) yield { ...chunk, start: chunk.start + share.start };
    },
  };
}

/** A share's rows, numbered from 0. */
async function keptRows(source: RowSource, memory: number, share: Share, folder: string): Promise<CachedRows> {
  const { name, width } = source;
  const rows = share.end - share.start;
  const labels = source.labels?.subarray(share.start, share.end);
  if (rows * width * 4 <= memory) {
    const data = new Float32Array(rows * width);
    for await (const chunk of source.chunks(share))
      data.set(chunk.data.subarray(0, chunk.rows * width), (chunk.start - share.start) * width);
    return { rows: arrayRows(name, data, rows, width, labels), dispose: () => Promise.resolve() };
  }
  const place = await mkdtemp(join(folder, 'maetok-rows-'));
  const path = join(place, 'rows.f32');
  const dispose = (): Promise<void> => rm(place, { recursive: true, force: true });
  try {
    const file = await open(path, 'w');
    try {
      for await (const { data, rows: count } of source.chunks(share))
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

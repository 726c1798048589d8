import { RandomNumbers } from '../base/index.js';
import type { ChunkOptions, RowChunk, RowSource } from './source.js';

export interface RowSplit {
  /** Row numbers in ascending order. */
  train: Int32Array;
  heldout: Int32Array;
}

/** Rows divided at random by seed; `share` of them (rounded, each part at least one row) are for training. */
export function splitRows(rows: number, share: number, seed: number): RowSplit {
  const order = new RandomNumbers(seed).for('split').permutation(rows);
  const count = Math.min(rows - 1, Math.max(1, Math.round(rows * share)));
  return { train: order.slice(0, count).sort(), heldout: order.slice(count).sort() };
}

/** The rows of `source` with these numbers (ascending), read in its own order. */
export function selectedRows(source: RowSource, indices: Int32Array, name = source.name): RowSource {
  const { width, labels } = source;
  return {
    name,
    rows: indices.length,
    width,
    ...(labels ? { labels: indices.map(row => labels[row]) } : {}),
    chunks: options => selectedChunks(source, indices, options ?? {}),
  };
}

async function* selectedChunks(
  source: RowSource,
  indices: Int32Array,
  { chunkRows, start = 0, end = indices.length }: ChunkOptions,
): AsyncIterable<RowChunk> {
  if (end <= start) return;
  const { width } = source;
  const within = {
    start: indices[start],
    end: indices[end - 1] + 1,
    ...(chunkRows === undefined ? {} : { chunkRows }),
  };
  let next = start;
  for await (const chunk of source.chunks(within)) {
    const first = next;
    while (next < end && indices[next] < chunk.start + chunk.rows) next++;
    if (next === first) continue;
    // Into memory of its own: a chunk may be a view of the source's.
    const data = new Float32Array((next - first) * width);
    for (let i = first; i < next; i++) {
      const row = indices[i] - chunk.start;
      data.set(chunk.data.subarray(row * width, (row + 1) * width), (i - first) * width);
    }
    yield { start: first, rows: next - first, data };
  }
}

import type { ChunkOptions, RowChunk, RowSource } from './source.js';

/**
 * A source's rows from the multiple of `size` before `start` to that behind `end`, `size` of them at a time, however it cuts
 * them itself. The memory is used again for every batch.
 */
export async function* inBatches(
  source: RowSource,
  size: number,
  { start = 0, end = source.rows }: Pick<ChunkOptions, 'start' | 'end'>,
): AsyncIterable<RowChunk> {
  if (end <= start) return;
  const { width } = source;
  const data = new Float32Array(size * width);
  let first = Math.floor(start / size) * size;
  let filled = 0;
  for await (const chunk of source.chunks({ start: first, end: Math.min(source.rows, Math.ceil(end / size) * size) }))
    for (let done = 0; done < chunk.rows;) {
      const rows = Math.min(chunk.rows - done, size - filled);
      data.set(chunk.data.subarray(done * width, (done + rows) * width), filled * width);
      done += rows;
      filled += rows;
      if (filled < size) continue;
      yield { start: first, rows: filled, data };
      first += filled;
      filled = 0;
    }
  if (filled > 0) yield { start: first, rows: filled, data: data.subarray(0, filled * width) };
}

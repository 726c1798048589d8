import type { RowSource } from './source.js';

/** Number of distinct rows, counted up to `most`. */
export async function distinctRows(source: RowSource, most: number): Promise<number> {
  const seen = new Set<string>();
  for await (const { rows, data } of source.chunks())
    for (let i = 0; i < rows; i++) {
      const { buffer, byteOffset, byteLength } = data.subarray(i * source.width, (i + 1) * source.width);
      seen.add(Buffer.from(buffer, byteOffset, byteLength).toString('latin1'));
      if (seen.size >= most) return seen.size;
    }
  return seen.size;
}

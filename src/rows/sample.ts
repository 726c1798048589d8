import { RandomNumbers } from '../base/index.js';
import { alone, gathered, shareOf } from '../distributed/index.js';
import type { RowSource } from './source.js';
import { selectedRows } from './split.js';

/** Numbers of at most `most` rows, drawn by seed, ascending; the same for all sources of as many rows. */
export function randomRows(rows: number, most: number, seed: number): Int32Array {
  if (rows <= most) return Int32Array.from({ length: rows }, (_, row) => row);
  return new RandomNumbers(seed).for('row-sample').permutation(rows).slice(0, most).sort();
}

/** Rows in memory, by ascending numbers. Of several ranks each reads a share; all get all of them. */
export async function sampleOf(
  source: RowSource,
  indices: Int32Array,
  communicator = alone,
): Promise<{ rows: number; width: number; data: Float32Array }> {
  const { width } = source;
  const { start, end } = shareOf(communicator, indices.length);
  const own = new Float32Array((end - start) * width);
  for await (const chunk of selectedRows(source, indices.subarray(start, end)).chunks())
    own.set(chunk.data.subarray(0, chunk.rows * width), chunk.start * width);
  return { rows: indices.length, width, data: await gathered(communicator, own) };
}

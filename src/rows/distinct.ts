import { alone, type OfRanks, type Share } from '../distributed/index.js';
import type { RowSource } from './source.js';

/** Number of distinct rows of all ranks, counted up to `most`. */
export async function distinctRows(source: RowSource, most: number, ranks?: OfRanks): Promise<number> {
  const seen = new Set<string>();
  await collect(seen, source, ranks?.share, most);
  const { communicator } = ranks ?? { communicator: alone };
  if (communicator.size === 1) return seen.size;
  const all = await communicator.allGather(Buffer.from([...seen].join(''), 'latin1'));
  const bytes = 4 * source.width;
  const union = all.flatMap(rows =>
    Array.from({ length: rows.length / bytes }, (_, i) =>
      Buffer.from(rows.buffer, rows.byteOffset + i * bytes, bytes).toString('latin1'),
    ),
  );
  return Math.min(most, new Set(union).size);
}

async function collect(seen: Set<string>, source: RowSource, share: Share | undefined, most: number): Promise<void> {
  for await (const { rows, data } of source.chunks(share))
    for (let i = 0; i < rows; i++) {
      const { buffer, byteOffset, byteLength } = data.subarray(i * source.width, (i + 1) * source.width);
      seen.add(Buffer.from(buffer, byteOffset, byteLength).toString('latin1'));
      if (seen.size >= most) return;
    }
}

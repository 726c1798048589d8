import { lazyRows, type RowSource } from '../rows/index.js';
import { nonFiniteError, nonFiniteRows } from './finite.js';
import { widthOf } from './layout.js';
import type { LatentsStore, StoreReader } from './store.js';

/** Rows of a store, numbered with the mirrored copies behind the images. */
async function readRange(
  { count }: LatentsStore,
  reader: StoreReader,
  start: number,
  end: number,
): Promise<Float32Array> {
  if (end <= count) return await reader.readRows(start, end, false);
  if (start >= count) return await reader.readRows(start - count, end - count, true);
  const plain = await reader.readRows(start, count, false);
  const mirrored = await reader.readRows(0, end - count, true);
  const out = new Float32Array(plain.length + mirrored.length);
  out.set(plain);
  out.set(mirrored, plain.length);
  return out;
}

/** All rows, flattened. Where `check`, one that is not finite ends the reading, once all such rows have been counted. */
export function storeRows(store: LatentsStore, { flips, check }: { flips: boolean; check: boolean }): RowSource {
  const { count, layout, labels, name } = store;
  const width = widthOf(layout);
  const rows = flips ? 2 * count : count;
  const repeated = labels && flips ? Int32Array.from({ length: rows }, (_, row) => labels[row % count]) : labels;
  return lazyRows({ name, rows, width, ...(repeated && { labels: repeated }) }, async () => {
    const reader = await store.open();
    return {
      async readRows(start, end) {
        const data = await readRange(store, reader, start, end);
        if (check) await refuseNonFinite(store, reader, data, flips);
        return { shape: [end - start, width], dtype: 'float32', data };
      },
      close: () => reader.close(),
    };
  });
}

/** Rows by number, in the order asked for; neighbours are read together. */
export async function readIndices(
  store: LatentsStore,
  reader: StoreReader,
  indices: ArrayLike<number>,
): Promise<Float32Array> {
  const width = widthOf(store.layout);
  const out = new Float32Array(indices.length * width);
  const order = Array.from(indices, (row, place) => ({ row, place })).sort((a, b) => a.row - b.row);
  const runs: { row: number; place: number }[][] = [];
  for (const item of order) {
    const last = runs.at(-1);
    if (last && item.row - last[last.length - 1].row <= 1) last.push(item);
    else runs.push([item]);
  }
  await Promise.all(
    runs.map(async run => {
      const start = run[0].row;
      const data = await readRange(store, reader, start, run[run.length - 1].row + 1);
      for (const { row, place } of run)
        out.set(data.subarray((row - start) * width, (row - start + 1) * width), place * width);
    }),
  );
  return out;
}

export async function refuseNonFinite(
  store: LatentsStore,
  reader: StoreReader,
  data: Float32Array,
  flips: boolean,
): Promise<void> {
  if (nonFiniteRows(data, widthOf(store.layout)).length === 0) return;
  throw nonFiniteError(store.name, await findNonFinite(store, reader, flips), store.count);
}

/** Every image whose latents, or those of its mirrored copy, hold NaN or infinite numbers. */
export async function findNonFinite(store: LatentsStore, reader: StoreReader, flips: boolean): Promise<number[]> {
  const width = widthOf(store.layout);
  const step = Math.max(1, Math.floor((1 << 20) / width));
  const bad = new Set<number>();
  for (let start = 0; start < store.count; start += step) {
    const end = Math.min(store.count, start + step);
    for (const flipped of flips ? [false, true] : [false])
      for (const row of nonFiniteRows(await reader.readRows(start, end, flipped), width)) bad.add(start + row);
  }
  return [...bad].sort((a, b) => a - b);
}

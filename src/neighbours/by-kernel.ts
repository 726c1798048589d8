import { setImmediate } from 'node:timers/promises';
import type { Share } from '../distributed/index.js';
import { nearestRows, tf } from '../engine/index.js';
import type { Ranking } from './ranking.js';

/** Multiplications between which the event loop, and so a signal, has its turn: a second or two. */
const PRODUCTS = 2 ** 37;
/** Queries that the kernel takes together. */
const TOGETHER = 512;

/** The `k` nearest other rows, one at least, of a share of the rows of `data` [rows, width], and their distances. */
export async function nearestByKernel(
  data: Float32Array,
  rows: number,
  width: number,
  k: number,
  { start, end }: Share,
): Promise<Ranking> {
  const step = TOGETHER * Math.max(1, Math.floor(PRODUCTS / (TOGETHER * rows * width)));
  const out = { k, rows: new Int32Array((end - start) * k), values: new Float32Array((end - start) * k) };
  const x = tf.tensor2d(data, [rows, width]);
  try {
    for (let first = start; first < end; first += step) {
      const found = nearestRows(x, { first, last: Math.min(end, first + step), neighbours: k });
      const [nearest, distances] = await Promise.all([found[0].data<'int32'>(), found[1].data<'float32'>()]);
      tf.dispose(found);
      out.rows.set(nearest, (first - start) * k);
      out.values.set(distances, (first - start) * k);
      await setImmediate();
    }
    return out;
  } finally {
    x.dispose();
  }
}

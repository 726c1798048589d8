import { alone, type Communicator } from '../distributed/index.js';
import { tf } from '../engine/index.js';
import { mostSimilarAmong, unitRows } from '../neighbours/index.js';
import type { RowSample } from './rows.js';

export interface NeighbourhoodAlignment {
  /** Centred kernel nearest-neighbour alignment, 1 for spaces whose neighbourhoods agree. */
  cknna: number;
  /** Mean share of a row's neighbours that are its neighbours in the other space too. */
  mutualNeighbours: number;
}

/**
 * CKNNA (Huh et al. 2024, as REPA reports it) of two feature sets of the same rows: unbiased HSIC of their inner-product
 * kernels, kept where both count each other's row among its k nearest. Rows are normalised to unit length first. Only
 * kept entries are ever formed, so memory is linear in the rows. Ranks divide the search for neighbours; what is done with
 * them takes k steps a row, and each does it all.
 */
export async function alignment(
  a: RowSample,
  b: RowSample,
  k: number,
  communicator = alone,
): Promise<NeighbourhoodAlignment> {
  const [ka, kb] = [await neighbourKernel(a, k, communicator), await neighbourKernel(b, k, communicator)];
  const shared = ka.map((row, i) => new Map([...row].filter(([j]) => kb[i].has(j))));
  const other = shared.map((row, i) => new Map([...row.keys()].map(j => [j, kb[i].get(j)!])));
  const cross = unbiasedHsic(shared, other);
  const scale = Math.sqrt(unbiasedHsic(ka, ka) * unbiasedHsic(kb, kb));
  const overlap = shared.reduce((sum, { size }) => sum + size, 0);
  return { cknna: cross / scale, mutualNeighbours: overlap / (a.rows * k) };
}

/** A sparse matrix without a diagonal: per row, column → value. */
type Kernel = Map<number, number>[];

async function neighbourKernel(
  { rows, width, data }: RowSample,
  k: number,
  communicator: Communicator,
): Promise<Kernel> {
  const x = tf.tidy(() => unitRows(tf.tensor2d(data, [rows, width])));
  const found = await mostSimilarAmong(x, k + 1, communicator);
  x.dispose();
  return Array.from({ length: rows }, (_, i) => {
    const kernel = new Map<number, number>();
    for (let at = i * found.k; at < (i + 1) * found.k && kernel.size < k; at++)
      if (found.rows[at] !== i) kernel.set(found.rows[at], found.values[at]);
    return kernel;
  });
}

/** Song et al. (2012), eq. 5, of matrices with zero diagonals. */
function unbiasedHsic(k: Kernel, l: Kernel): number {
  const m = k.length;
  const columns = new Float64Array(m);
  let [inner, kTotal, lTotal, product] = [0, 0, 0, 0];
  k.forEach((row, i) => {
    for (const [j, value] of row) {
      inner += value * (l[j].get(i) ?? 0);
      columns[j] += value;
      kTotal += value;
    }
  });
  l.forEach((row, i) => {
    for (const value of row.values()) {
      lTotal += value;
      product += columns[i] * value;
    }
  });
  return (inner + (kTotal * lTotal) / ((m - 1) * (m - 2)) - (2 * product) / (m - 2)) / (m * (m - 3));
}

import { matMul } from './matmul.js';
import { tf, type Tensor2D } from './tf.js';

/** Rows on the engine, a part of a larger matrix. */
export interface RowBlock {
  x: Tensor2D;
  /** Number of its first row within the whole. */
  start: number;
}

/** For each query its `k` rows, best first, row-major [queries, k]. */
export interface Neighbours {
  k: number;
  rows: Int32Array;
  /** Inner products with the query, or distances: as the function that made them says. */
  values: Float32Array;
}

/** Inner products held at once. */
const PRODUCTS = 2 ** 24;

/** The `k` rows of all blocks with the largest inner product with each query, exactly, in blocks of queries. */
export async function mostSimilar(queries: Tensor2D, blocks: readonly RowBlock[], k: number): Promise<Neighbours> {
  const count = queries.shape[0];
  const total = blocks.reduce((sum, { x }) => sum + x.shape[0], 0);
  const found = Math.min(k, total);
  const out: Neighbours = { k: found, rows: new Int32Array(count * found), values: new Float32Array(count * found) };
  const widest = Math.max(...blocks.map(({ x }) => x.shape[0]));
  const step = Math.max(1, Math.floor(PRODUCTS / widest));
  for (let first = 0; first < count; first += step) {
    const part = tf.slice2d(queries, [first, 0], [Math.min(step, count - first), -1]);
    try {
      const lists: Neighbours[] = [];
      for (const block of blocks) lists.push(await withinBlock(part, block, found));
      mergeInto(out, first, part.shape[0], lists);
    } finally {
      part.dispose();
    }
  }
  return out;
}

async function withinBlock(queries: Tensor2D, { x, start }: RowBlock, k: number): Promise<Neighbours> {
  const here = Math.min(k, x.shape[0]);
  const { values, indices } = tf.tidy(() => tf.topk(matMul(queries, x, { transposeB: true }), here));
  const [products, rows] = await Promise.all([values.data<'float32'>(), indices.data<'int32'>()]);
  tf.dispose([values, indices]);
  return { k: here, rows: start === 0 ? rows : rows.map(row => row + start), values: products };
}

/** The best of several lists per query, which are sorted each. */
function mergeInto(out: Neighbours, first: number, count: number, lists: Neighbours[]): void {
  const heads = new Int32Array(lists.length);
  for (let query = 0; query < count; query++) {
    heads.fill(0);
    for (let i = 0; i < out.k; i++) {
      let best = -1;
      for (let l = 0; l < lists.length; l++) {
        if (heads[l] === lists[l].k) continue;
        if (best < 0 || head(lists[l], query, heads[l]) > head(lists[best], query, heads[best])) best = l;
      }
      const at = (first + query) * out.k + i;
      out.rows[at] = lists[best].rows[query * lists[best].k + heads[best]];
      out.values[at] = head(lists[best], query, heads[best]++);
    }
  }
}

const head = ({ values, k }: Neighbours, query: number, i: number): number => values[query * k + i];

/**
 * The `k` nearest other rows of every row of `data` [rows, width] in Euclidean distance, with the distances. Exact up
 * to ties within float32: candidates come from inner products, their distances are then found in float64.
 */
export async function nearestNeighbours(
  data: Float32Array,
  rows: number,
  width: number,
  k: number,
): Promise<Neighbours> {
  const wanted = Math.min(k, rows - 1);
  const [queries, points] = tf.tidy((): [Tensor2D, Tensor2D] => {
    const x = tf.tensor2d(data, [rows, width]);
    // Centred, so that a common offset costs no digits; ⟨q, x⟩ − ½|x|² ranks as the distance does.
    const centred = x.sub(x.mean(0, true));
    const offset = centred.square().sum(1, true).mul(-0.5);
    return [
      tf.concat2d([centred as Tensor2D, tf.ones([rows, 1])], 1),
      tf.concat2d([centred as Tensor2D, offset as Tensor2D], 1),
    ];
  });
  try {
    // Itself, and some more in case float32 ranks near ties otherwise than float64.
    const candidates = await mostSimilar(queries, [{ x: points, start: 0 }], wanted + 1 + Math.ceil(wanted / 8));
    return nearestOf(candidates, data, rows, width, wanted);
  } finally {
    tf.dispose([queries, points]);
  }
}

function nearestOf(candidates: Neighbours, data: Float32Array, rows: number, width: number, k: number): Neighbours {
  const out: Neighbours = { k, rows: new Int32Array(rows * k), values: new Float32Array(rows * k) };
  for (let row = 0; row < rows; row++) {
    const others = Array.from(candidates.rows.subarray(row * candidates.k, (row + 1) * candidates.k))
      .filter(other => other !== row)
      .map(other => ({ other, squared: squaredDistance(data, row * width, other * width, width) }))
      .sort((a, b) => a.squared - b.squared || a.other - b.other);
    for (let i = 0; i < k; i++) {
      out.rows[row * k + i] = others[i].other;
      out.values[row * k + i] = Math.sqrt(others[i].squared);
    }
  }
  return out;
}

function squaredDistance(data: Float32Array, a: number, b: number, width: number): number {
  let sum = 0;
  for (let j = 0; j < width; j++) {
    const d = data[a + j] - data[b + j];
    sum += d * d;
  }
  return sum;
}

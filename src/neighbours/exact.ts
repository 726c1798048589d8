import {
  alone,
  gathered,
  gatherParts,
  gatherValues,
  shareOf,
  type Communicator,
  type Share,
} from '../distributed/index.js';
import { hasKernels, matMul, tf, type Tensor, type Tensor1D, type Tensor2D } from '../engine/index.js';
import { nearestByKernel } from './by-kernel.js';
import { rankShare } from './graph.js';

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

/**
 * Rows scaled to unit length, so that inner products are cosines; a row of zeros stays. Over their largest entry first,
 * since squares of small or large numbers leave single precision's range.
 */
export const unitRows = (x: Tensor2D): Tensor2D =>
  tf.tidy(() => {
    const orOne = (norm: Tensor): Tensor => tf.where(norm.greater(0), norm, tf.onesLike(norm));
    const bounded: Tensor2D = x.div(orOne(x.abs().max(1, true)));
    return bounded.div(orOne(bounded.square().sum(1, true).sqrt()));
  });

/** Inner products held at once: TensorFlow wants large pieces of work; WebAssembly's memory, once grown, stays so. */
const PRODUCTS = { tensorflow: 2 ** 23, other: 2 ** 20 };
/** Rows whose best product is found before any is looked at on its own. */
const GROUP = 64;

/**
 * The `k` rows of all blocks with the largest inner product with each query, exactly, in blocks of queries. Of several
 * ranks, which have the same queries, each has its own blocks; all find what is best among those of all.
 */
export async function mostSimilar(
  queries: Tensor2D,
  blocks: readonly RowBlock[],
  k: number,
  communicator = alone,
): Promise<Neighbours> {
  const here = await mostSimilarHere(queries, blocks, k);
  if (communicator.size === 1) return here;
  return await mergedOverRanks(communicator, here, queries.shape[0], k);
}

/**
 * The `k` rows of `x` with the largest inner product with each of them, itself among them. Ranks, which all have all rows,
 * find those of a share of them each.
 */
export async function mostSimilarAmong(x: Tensor2D, k: number, communicator = alone): Promise<Neighbours> {
  const { start, end } = shareOf(communicator, x.shape[0]);
  const own = tf.slice2d(x, [start, 0], [end - start, -1]);
  try {
    const found = await mostSimilarHere(own, [{ x, start: 0 }], k);
    return {
      k: found.k,
      rows: await gathered(communicator, found.rows),
      values: await gathered(communicator, found.values),
    };
  } finally {
    own.dispose();
  }
}

/** The best of what ranks have found for each query; of equal ones, those of lower ranks first. */
export async function mergedOverRanks(
  communicator: Communicator,
  here: Neighbours,
  queries: number,
  k: number,
): Promise<Neighbours> {
  const rows = await gatherParts(communicator, here.rows);
  const values = await gatherParts(communicator, here.values);
  const lists = rows.map((own, rank) => ({ k: own.length / queries, rows: own, values: values[rank] }));
  const found = Math.min(
    k,
    lists.reduce((sum, list) => sum + list.k, 0),
  );
  const out = emptyNeighbours(queries, found);
  mergeInto(out, 0, queries, lists);
  return out;
}

const emptyNeighbours = (count: number, k: number): Neighbours => ({
  k,
  rows: new Int32Array(count * k),
  values: new Float32Array(count * k),
});

async function mostSimilarHere(queries: Tensor2D, all: readonly RowBlock[], k: number): Promise<Neighbours> {
  const count = queries.shape[0];
  const blocks = all.filter(({ x }) => x.shape[0] > 0);
  const total = blocks.reduce((sum, { x }) => sum + x.shape[0], 0);
  const found = Math.min(k, total);
  const out = emptyNeighbours(count, found);
  if (found === 0) return out;
  const widest = Math.max(...blocks.map(({ x }) => x.shape[0]));
  const most = tf.getBackend() === 'tensorflow' ? PRODUCTS.tensorflow : PRODUCTS.other;
  const step = Math.max(1, Math.floor(most / widest));
  const searches = blocks.map(block => searchIn(block, found));
  try {
    for (let first = 0; first < count; first += step) {
      const part = tf.slice2d(queries, [first, 0], [Math.min(step, count - first), -1]);
      try {
        const lists: Neighbours[] = [];
        for (const search of searches) lists.push(await search.run(part));
        mergeInto(out, first, part.shape[0], lists);
      } finally {
        part.dispose();
      }
    }
  } finally {
    for (const search of searches) search.dispose();
  }
  return out;
}

interface Search {
  run(queries: Tensor2D): Promise<Neighbours>;
  dispose(): void;
}

/** Picks the best of all products where the block has few rows or many are wanted, else by way of groups. */
function searchIn(block: RowBlock, k: number): Search {
  const here = Math.min(k, block.x.shape[0]);
  const pays = 4 * GROUP * (here + 1) < block.x.shape[0];
  return pays
    ? searchByGroups(block, here)
    : { run: queries => searchAll(queries, block, here), dispose: () => undefined };
}

async function searchAll(queries: Tensor2D, { x, start }: RowBlock, k: number): Promise<Neighbours> {
  const { values, indices } = tf.tidy(() => tf.topk(matMul(queries, x, { transposeB: true }), k));
  const [products, rows] = await Promise.all([values.data<'float32'>(), indices.data<'int32'>()]);
  tf.dispose([values, indices]);
  return { k, rows: start === 0 ? rows : rows.map(row => row + start), values: products };
}

/**
 * Finds the same rows several times faster: the k best products lie in the k groups of rows with the best maxima, and maxima cost
 * a fraction of what sorting does. The last group is filled up with zeros, which may stand above its own rows, so one
 * group more is taken, and no row that isn't there.
 */
function searchByGroups({ x, start }: RowBlock, k: number): Search {
  const [rows, width] = x.shape;
  const groups = Math.ceil(rows / GROUP);
  const missing = groups * GROUP - rows;
  const whole = tf.tidy(() => (missing === 0 ? x.clone() : tf.concat2d([x, tf.zeros([missing, width])], 0)));
  return {
    run: async queries => {
      const chosen = tf.tidy(() => bestByGroups(matMul(queries, whole, { transposeB: true }), groups, rows, k));
      const [values, within, of] = await Promise.all([
        chosen.values.data<'float32'>(),
        chosen.within.data<'int32'>(),
        chosen.groups.data<'int32'>(),
      ]);
      tf.dispose([chosen.values, chosen.within, chosen.groups]);
      const found = within.map((at, i) => {
        const group = of[Math.floor(i / k) * (k + 1) + Math.floor(at / GROUP)];
        return start + group * GROUP + (at % GROUP);
      });
      return { k, rows: found, values };
    },
    dispose: () => whole.dispose(),
  };
}

/** From products [queries, groups · GROUP]: k + 1 groups per query, the k best products in these, and their positions. */
function bestByGroups(products: Tensor, groups: number, rows: number, k: number) {
  const queries = products.shape[0];
  const maxima = products.reshape([queries, groups, GROUP]).max(2);
  const chosen = tf.topk(maxima, k + 1).indices;
  const first = tf.range(0, queries, 1, 'int32').mul(tf.scalar(groups, 'int32')).reshape([queries, 1]);
  const candidates = tf
    .gather(products.reshape([queries * groups, GROUP]), chosen.add(first).reshape<Tensor1D>([-1]))
    .reshape([queries, k + 1, GROUP]);
  const numbers = chosen
    .mul(tf.scalar(GROUP, 'int32'))
    .expandDims(2)
    .add(tf.range(0, GROUP, 1, 'int32'));
  const real = tf.where(numbers.less(tf.scalar(rows, 'int32')), candidates, tf.scalar(-Infinity));
  const { values, indices } = tf.topk(real.reshape([queries, (k + 1) * GROUP]), k);
  return { values, within: indices, groups: chosen };
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
 * The `k` nearest other rows of every row of `data` [rows, width] in Euclidean distance, with the distances; of equally near
 * ones those of lower numbers. Ranks share the rows whose neighbours are found; each holds all rows. Exact; without the engine's
 * kernels, up to ties within float32.
 */
export async function nearestNeighbours(
  data: Float32Array,
  rows: number,
  width: number,
  k: number,
  communicator = alone,
): Promise<Neighbours> {
  const wanted = Math.min(k, rows - 1);
  const share = shareOf(communicator, rows);
  // Ranks work together where there is no kernel, so all or none of them use it.
  const byKernel = wanted > 0 && (await gatherValues(communicator, hasKernels())).every(Boolean);
  const nearest = byKernel
    ? await nearestByKernel(data, rows, width, wanted, share)
    : await nearestByProducts(data, rows, width, wanted, share, communicator);
  return {
    k: wanted,
    rows: await gathered(communicator, nearest.rows),
    values: await gathered(communicator, nearest.values),
  };
}

/** Candidates come from products in float32, which ranks share; their distances are then found in float64. */
async function nearestByProducts(
  data: Float32Array,
  rows: number,
  width: number,
  k: number,
  share: Share,
  communicator: Communicator,
): Promise<Neighbours> {
  // Centred, so that a common offset costs no digits.
  const centred = tf.tidy(() => {
    const x = tf.tensor2d(data, [rows, width]);
    return x.sub<Tensor2D>(x.mean(0, true));
  });
  try {
    // Itself, and some more in case float32 ranks near ties otherwise than float64.
    const candidates = await rankShare(centred, k + 1 + Math.ceil(k / 8), share, communicator);
    return nearestOf(candidates, share, data, width, k);
  } finally {
    centred.dispose();
  }
}

/** The nearest among the candidates of a share of the rows. */
function nearestOf(candidates: Neighbours, share: Share, data: Float32Array, width: number, k: number): Neighbours {
  const out = emptyNeighbours(share.end - share.start, k);
  const squared = new Float64Array(k);
  for (let row = share.start; row < share.end; row++) {
    const at = row - share.start;
    const nearest = out.rows.subarray(at * k, (at + 1) * k);
    let count = 0;
    for (let c = at * candidates.k; c < (at + 1) * candidates.k; c++) {
      const other = candidates.rows[c];
      if (other === row) continue;
      const distance = squaredDistance(data, row * width, other * width, width);
      const closer = (i: number): boolean => distance < squared[i] || (distance === squared[i] && other < nearest[i]);
      let place = count < k ? count++ : k;
      for (; place > 0 && closer(place - 1); place--)
        if (place < k) {
          squared[place] = squared[place - 1];
          nearest[place] = nearest[place - 1];
        }
      if (place < k) {
        squared[place] = distance;
        nearest[place] = other;
      }
    }
    for (let i = 0; i < k; i++) out.values[at * k + i] = Math.sqrt(squared[i]);
  }
  return out;
}

function squaredDistance(data: Float32Array, a: number, b: number, width: number): number {
  let [even, odd] = [0, 0];
  let j = 0;
  // Two sums, since each addition waits for the one before.
  for (; j + 1 < width; j += 2) {
    const d = data[a + j] - data[b + j];
    const e = data[a + j + 1] - data[b + j + 1];
    even += d * d;
    odd += e * e;
  }
  if (j < width) even += (data[a + j] - data[b + j]) ** 2;
  return even + odd;
}

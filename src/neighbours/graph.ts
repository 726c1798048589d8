import { gatherParts, shareOf, type Communicator, type Share } from '../distributed/index.js';
import { matMul, tf, type Tensor, type Tensor2D } from '../engine/index.js';
import { emptyRanking, insertInto, type Ranking } from './ranking.js';

/** Rows whose best value is found before any is looked at on its own. */
const GROUP = 64;
/** Rows of a block: the values of two blocks' pairs stay in a core's cache. */
const BLOCK = 32 * GROUP;
/** How far products of the same rows in other company may lie apart, as a part of the largest h. */
const MARGIN = 1e-5;
/** Larger than any distance. */
const FAR = 1e30;

/**
 * The `k` rows of centred `x` [rows, width] nearest to every row of a rank's share, itself among them, with minus half the
 * squared distance in float32: every pair of blocks is multiplied once, by one of the ranks, and seen from both sides. Only
 * the best of each group of rows is kept at first; the k nearest lie in the k groups whose best are nearest, and those
 * groups' values are then found again, group by group for all rows of the share that want it.
 */
export async function rankShare(x: Tensor2D, k: number, share: Share, communicator: Communicator): Promise<Ranking> {
  const rows = x.shape[0];
  const sides = bothSides(x);
  try {
    const groups = await bestGroups(sides, rows, Math.min(k, Math.ceil(rows / GROUP)), communicator);
    return await bestOf(sides, restricted(groups, share), { share, rows }, Math.min(k, rows));
  } finally {
    tf.dispose([sides.left, sides.right]);
  }
}

/** [x, 1, −h] and [x, −h, 1] with h = ½|x|², whose product is −½|x − y|², from both sides alike; whole groups of rows. */
interface Sides {
  left: Tensor2D;
  right: Tensor2D;
  /** The largest h. */
  largest: number;
}

function bothSides(x: Tensor2D): Sides {
  const [rows, width] = x.shape;
  const missing = Math.ceil(rows / GROUP) * GROUP - rows;
  let largest = 0;
  const [left, right] = tf.tidy((): [Tensor2D, Tensor2D] => {
    const all = tf.concat2d([x, tf.zeros([missing, width])], 0);
    const negative: Tensor2D = x.square().sum(1, true).mul(-0.5);
    largest = -negative.min().dataSync()[0];
    const halves = tf.concat2d([negative, tf.fill([missing, 1], -FAR)], 0);
    const ones: Tensor2D = tf.ones([rows + missing, 1]);
    return [tf.concat2d([all, ones, halves], 1), tf.concat2d([all, halves, ones], 1)];
  });
  return { left, right, largest };
}

/** For every row the groups whose best value for it is largest; of equal ones the first. */
async function bestGroups(sides: Sides, rows: number, k: number, communicator: Communicator): Promise<Ranking> {
  const best = emptyRanking(rows, k);
  const pairs = blockPairs(sides.left.shape[0]);
  const { start, end } = shareOf(communicator, pairs.length);
  for (const [i, j] of pairs.slice(start, end)) await offerPair(best, sides, rows, i, j);
  return await mergedOverRanks(communicator, best);
}

/** Where the two blocks of each pair begin, every pair once. */
function blockPairs(total: number): [number, number][] {
  const pairs: [number, number][] = [];
  for (let i = 0; i < total; i += BLOCK) for (let j = 0; j <= i; j += BLOCK) pairs.push([i, j]);
  return pairs;
}

/** Multiplies two blocks; each one's rows are offered the other's groups. */
async function offerPair(best: Ranking, { left, right }: Sides, rows: number, i: number, j: number): Promise<void> {
  const [total, width] = left.shape;
  const block = (side: Tensor2D, first: number): Tensor2D =>
    tf.slice2d(side, [first, 0], [Math.min(BLOCK, total - first), width]);
  const seen = tf.tidy((): Tensor[] => {
    const [a, b] = [block(left, i), block(right, j)];
    const [m, n] = [a.shape[0], b.shape[0]];
    const values = matMul(a, b, { transposeB: true });
    const fromRows = values.reshape([m, n / GROUP, GROUP]).max(2);
    return i === j
      ? [fromRows]
      : [
          fromRows,
          values
            .reshape([m / GROUP, GROUP, n])
            .max(1)
            .transpose(),
        ];
  });
  const [fromRows, fromColumns] = await Promise.all(seen.map(maxima => maxima.data<'float32'>()));
  offerAll(best, i, fromRows, seen[0].shape[1]!, j / GROUP, rows);
  if (i !== j) offerAll(best, j, fromColumns, seen[1].shape[1]!, i / GROUP, rows);
  tf.dispose(seen);
}

/** The best that any rank has found; a place that nothing has taken holds −Infinity and is none. */
async function mergedOverRanks(communicator: Communicator, own: Ranking): Promise<Ranking> {
  if (communicator.size === 1) return own;
  const rows = await gatherParts(communicator, own.rows);
  const values = await gatherParts(communicator, own.values);
  const best = emptyRanking(own.rows.length / own.k, own.k);
  // Pairs are dealt in order, so that of equal values the one offered first is the one that one process keeps.
  for (const [rank, found] of rows.entries())
    found.forEach((group, at) => insertInto(best, Math.floor(at / own.k), group, values[rank][at]));
  return best;
}

/** The lists of a share of the rows. */
function restricted({ k, rows, values }: Ranking, { start, end }: Share): Ranking {
  return { k, rows: rows.subarray(start * k, end * k), values: values.subarray(start * k, end * k) };
}

/** Values [rows from `first` on, `count`] of what is numbered from `start` on; rows behind the last are none. */
function offerAll(best: Ranking, first: number, found: Float32Array, count: number, start: number, rows: number): void {
  const real = Math.min(found.length / count, rows - first);
  for (let row = 0; row < real; row++) offerTo(best, first + row, found, row * count, count, start);
}

/** The best rows within the groups of every row of a share. */
async function bestOf(
  { left, right, largest }: Sides,
  groups: Ranking,
  { share, rows }: { share: Share; rows: number },
  k: number,
): Promise<Ranking> {
  const best = emptyRanking(share.end - share.start, k);
  // As many groups have a value at least as large as the last one's best, but for rounding: no smaller one is needed.
  if (k === groups.k) {
    const margin = MARGIN * largest || 1;
    best.values.forEach((_, at) => (best.values[at] = groups.values[Math.floor(at / k) * k + k - 1] - margin));
  }
  const width = right.shape[1];
  for (const [group, wanting] of inverted(groups, Math.ceil(rows / GROUP)).entries()) {
    if (wanting.length === 0) continue;
    const products = tf.tidy(() => {
      const queries = tf.gather(
        left,
        tf.tensor1d(
          wanting.map(row => share.start + row),
          'int32',
        ),
      );
      return matMul(queries, tf.slice2d(right, [group * GROUP, 0], [GROUP, width]), { transposeB: true });
    });
    const values = await products.data<'float32'>();
    products.dispose();
    const real = Math.min(GROUP, rows - group * GROUP);
    for (let i = 0; i < wanting.length; i++) offerTo(best, wanting[i], values, i * GROUP, real, group * GROUP);
  }
  return best;
}

/** The rows that have each group among their best. */
function inverted({ rows: of, k }: Ranking, groups: number): Int32Array[] {
  const sizes = new Int32Array(groups);
  for (const group of of) sizes[group]++;
  const lists = Array.from(sizes, size => new Int32Array(size));
  const filled = new Int32Array(groups);
  for (let at = 0; at < of.length; at++) lists[of[at]][filled[of[at]]++] = Math.floor(at / k);
  return lists;
}

/** Puts `count` values of what is numbered from `start` on where they belong in a row's list, if they do. */
function offerTo(best: Ranking, row: number, found: Float32Array, from: number, count: number, start: number): void {
  const last = (row + 1) * best.k - 1;
  for (let i = 0; i < count; i++)
    if (found[from + i] > best.values[last]) insertInto(best, row, start + i, found[from + i]);
}

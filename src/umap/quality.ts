import type { RandomNumbers } from '../base/index.js';
import { alone, shareOf, type Communicator } from '../distributed/index.js';
import { matMul, tf, type Tensor2D } from '../engine/index.js';

/** How well an embedding preserves neighbourhoods, each from 0 to 1 (Venna & Kaski 2006). */
export interface Quality {
  /** Lowered by rows that are neighbours only in the embedding. */
  trustworthiness: number;
  /** Lowered by neighbours that the embedding separates. */
  continuity: number;
}

export interface QualityOptions {
  /** Neighbours that should be kept. */
  k: number;
  /** Rows whose neighbourhoods are looked at, drawn at random from more; ranks are always among all rows. */
  queries: number;
  random: RandomNumbers;
  /** Ranks that look at a share of those rows each. */
  communicator?: Communicator | undefined;
}

/** Distances held at once. */
const DISTANCES = 2 ** 22;

/** The quality of an embedding `points` [rows, 2] of `data` [rows, width]. */
export async function embeddingQuality(
  data: Float32Array,
  points: Float32Array,
  { k: wanted, queries, random, communicator = alone }: QualityOptions,
): Promise<Quality> {
  const rows = points.length / 2;
  const k = Math.min(wanted, Math.floor((rows - 1) / 2));
  const chosen = random.for('queries').permutation(rows).slice(0, queries).sort();
  const { start, end } = shareOf(communicator, chosen.length);
  const excess = new Float64Array(2);
  for await (const { row, squares } of distancesFrom(chosen.subarray(start, end), data, rows)) {
    const inPlane = planeDistances(points, row);
    excess[0] += excessRanks(inPlane, squares, k);
    excess[1] += excessRanks(squares, inPlane, k);
  }
  await communicator.allReduceSum(excess);
  const [intruders, missing] = excess;
  const scale = 2 / (chosen.length * k * (2 * rows - 3 * k - 1));
  return { trustworthiness: 1 - scale * intruders, continuity: 1 - scale * missing };
}

/** Squared distances from some rows to all rows, infinite to themselves. */
async function* distancesFrom(
  chosen: Int32Array,
  data: Float32Array,
  rows: number,
): AsyncGenerator<{ row: number; squares: Float32Array }> {
  const width = data.length / rows;
  const [x, norms] = tf.tidy((): [Tensor2D, Tensor2D] => {
    const raw = tf.tensor2d(data, [rows, width]);
    // Centred, so that a common offset costs no digits.
    const centred = raw.sub<Tensor2D>(raw.mean(0, true));
    return [centred, centred.square().sum(1).reshape([1, rows])];
  });
  const step = Math.max(1, Math.floor(DISTANCES / rows));
  try {
    for (let first = 0; first < chosen.length; first += step) {
      const some = chosen.subarray(first, first + step);
      // Up to |q|², which is the same for all rows and changes no rank.
      const block = tf.tidy(() => norms.sub(matMul(tf.gather(x, some), x, { transposeB: true }).mul(2)));
      const values = await block.data<'float32'>();
      block.dispose();
      for (let i = 0; i < some.length; i++) {
        const squares = values.slice(i * rows, (i + 1) * rows);
        squares[some[i]] = Infinity;
        yield { row: some[i], squares };
      }
    }
  } finally {
    tf.dispose([x, norms]);
  }
}

function planeDistances(points: Float32Array, row: number): Float32Array {
  const [px, py] = [points[2 * row], points[2 * row + 1]];
  const out = new Float32Array(points.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = (points[2 * i] - px) ** 2 + (points[2 * i + 1] - py) ** 2;
  out[row] = Infinity;
  return out;
}

/** Σ max(0, rank − k) over the k nearest by `near`, of their ranks by `other`. */
function excessRanks(near: Float32Array, other: Float32Array, k: number): number {
  const values = Float32Array.from(nearest(near, k), i => other[i]).sort();
  const furthest = values[k - 1];
  // Entries that lie between two of the values; those below a value are what makes its rank.
  const between = new Int32Array(k);
  for (const value of other) {
    if (value >= furthest) continue;
    let above = 0;
    while (values[above] <= value) above++;
    between[above]++;
  }
  let [sum, rank] = [0, 1];
  for (const count of between) {
    rank += count;
    sum += Math.max(0, rank - k);
  }
  return sum;
}

/** Where the k smallest entries are. */
function nearest(distances: Float32Array, k: number): Int32Array {
  const found = new Int32Array(k).fill(-1);
  let limit = Infinity;
  for (let i = 0; i < distances.length; i++) {
    if (!(distances[i] < limit)) continue;
    let at = k - 1;
    for (; at > 0 && (found[at - 1] < 0 || distances[found[at - 1]] > distances[i]); at--) found[at] = found[at - 1];
    found[at] = i;
    if (found[k - 1] >= 0) limit = distances[found[k - 1]];
  }
  return found;
}

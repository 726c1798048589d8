import { alone, type Communicator } from '../distributed/index.js';
import { tf, type Tensor2D } from '../engine/index.js';
import { mostSimilarInStream, unitRows, type Groups } from '../neighbours/index.js';
import type { InterpolationName } from './names.js';

/*
 * The interpolated FID ("Making Reconstruction FID Predictive of Diffusion Generation FID", arXiv 2603.05630): each held-out
 * latent is moved half way to one of its nearest training latents before it is decoded.
 */

/** Nearest training latents among which one is drawn, and how far a latent is moved towards it. */
export const INTERPOLATION = { neighbours: 10, share: 0.5 };

/** Latents in order of a training set, [rows, width]. */
export interface TrainingBlock {
  x: Tensor2D;
  /** Number of its first row. */
  start: number;
}

/** How latents are interpolated, and which are near for it. */
interface Way {
  /** The larger the inner product of what is made of a query and of a row, the nearer they are. */
  query: (x: Tensor2D) => Tensor2D;
  row: (x: Tensor2D) => Tensor2D;
  /** Part `share` of the way from `z` to `other`. */
  between: (z: Float32Array, other: Float32Array, share: number) => Float32Array;
}

const WAYS: Record<InterpolationName, Way> = {
  slerp: { query: unitRows, row: unitRows, between: slerp },
  // x · y − ½|y|² orders rows y as −|x − y|² does.
  linear: {
    query: x => tf.concat2d([x, tf.ones([x.shape[0], 1])], 1),
    row: x => tf.concat2d([x, x.square().sum<Tensor2D>(1, true).mul(-0.5)], 1),
    between: linear,
  },
};

/**
 * The training latents nearest to each query [n, width], as row numbers, nearest first: by cosine for `slerp`, by
 * Euclidean distance for `linear`. Within groups a query may have fewer than ten, or none. Blocks are freed here. Ranks have the
 * same queries and blocks of their own, in the order of ranks; each gets what is nearest among the blocks of all.
 */
export async function nearestLatents(
  way: InterpolationName,
  queries: Tensor2D,
  blocks: AsyncIterable<TrainingBlock>,
  within?: Groups,
  communicator: Communicator = alone,
): Promise<Int32Array[]> {
  const { query, row } = WAYS[way];
  async function* rows(): AsyncGenerator<TrainingBlock> {
    for await (const { x, start } of blocks) {
      const made = tf.tidy(() => row(x));
      x.dispose();
      yield { x: made, start };
    }
  }
  const asked = tf.tidy(() => query(queries));
  try {
    const most = INTERPOLATION.neighbours;
    const { k, rows: found, values } = await mostSimilarInStream(asked, rows(), most, within, communicator);
    return Array.from({ length: queries.shape[0] }, (_, at) =>
      found.slice(at * k, (at + 1) * k).filter((_row, i) => values[at * k + i] > -Infinity),
    );
  } finally {
    asked.dispose();
  }
}

/**
 * One of the candidates, drawn with probability softmax(−d) by a number uniform in [0, 1), d being the mean squared
 * difference to `z`.
 */
export function drawNeighbour(z: Float32Array, candidates: readonly Float32Array[], uniform: number): number {
  const distances = candidates.map(candidate => meanSquare(z, candidate));
  const least = Math.min(...distances);
  const weights = distances.map(distance => Math.exp(least - distance));
  let left = uniform * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [i, weight] of weights.entries()) {
    left -= weight;
    if (left < 0) return i;
  }
  return candidates.length - 1;
}

/** z moved towards a training latent. */
export const moved = (way: InterpolationName, z: Float32Array, towards: Float32Array): Float32Array =>
  WAYS[way].between(z, towards, INTERPOLATION.share);

/** A mean squared difference of this part of the latent's mean square is one of rounding, at 16 bits too. */
const ROUNDING = 1e-6;

/** Whether two latents are of the same image. */
export const isCopy = (z: Float32Array, other: Float32Array): boolean =>
  meanSquare(z, other) <= ROUNDING * meanSquare(z, new Float32Array(z.length));

function meanSquare(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum / a.length;
}

function linear(z: Float32Array, other: Float32Array, share: number): Float32Array {
  return z.map((value, i) => (1 - share) * value + share * other[i]);
}

/** Below this sine of the angle the published code interpolates linearly. */
const PARALLEL = 1e-6;
/** Added to lengths and to the sine there. */
const EPSILON = 1e-7;

/** Along the arc between the directions; lengths are mixed by the same weights (Shoemake 1985). */
function slerp(z: Float32Array, other: Float32Array, share: number): Float32Array {
  const [own, its] = [length(z), length(other)];
  let product = 0;
  for (let i = 0; i < z.length; i++) product += z[i] * other[i];
  const angle = Math.acos(Math.min(1, Math.max(-1, product / ((own + EPSILON) * (its + EPSILON)))));
  const sine = Math.sin(angle);
  if (sine < PARALLEL) return linear(z, other, share);
  const [w1, w2] = [Math.sin((1 - share) * angle) / (sine + EPSILON), Math.sin(share * angle) / (sine + EPSILON)];
  return z.map((value, i) => w1 * value + w2 * other[i]);
}

function length(z: Float32Array): number {
  let sum = 0;
  for (const value of z) sum += value * value;
  return Math.sqrt(sum);
}

import { leastSquares } from '../../statistics/index.js';
import type { Grid } from './frequency.js';

/** The side, in pixels, of the image that distances in pixels are those of, whatever was encoded. */
const PIXELS = 256;

/** A way to say how far apart two tokens are, and what near, far and a ring of distances are by it. */
export interface Ruler {
  name: string;
  /** Distances of any two tokens of a grid, [t, t]. */
  distances(grid: Grid): Float64Array;
  near: number;
  far: number;
  /** Rings over which similarity is followed: pairs with low ≤ distance ≤ high. */
  rings: readonly { low: number; high: number; at: number }[];
  /** From where to where, and in what steps. */
  followed: string;
}

/** iREPA's: Manhattan distance in cells of the grid, near 1, far 6, followed over 1 to 8. */
export const cells = ({ far = 6, last = 8 } = {}): Ruler => ({
  name: 'cells',
  distances: grid => distancesBy(grid, [1, 1], (y, x) => y + x),
  near: 1,
  far,
  rings: Array.from({ length: last }, (_, i) => ({ low: i + 1, high: i + 1, at: i + 1 })),
  followed: `cells 1-${last}`,
});

/**
 * Euclidean distance of cells' centres in pixels of an image of 256: 16 × 16 and 32 × 32 tokens of one image compare.
 * Rings are 16 pixels wide and their slope is that per 16 pixels, one cell of a 16 × 16 grid.
 */
export const pixels: Ruler = {
  name: `px of ${PIXELS}`,
  distances: ([height, width]) => distancesBy([height, width], [PIXELS / height, PIXELS / width], Math.hypot),
  near: 24,
  far: 96,
  followed: 'px 24-104 per 16',
  rings: [24, 40, 56, 72, 88].map(low => ({ low, high: low + 16 - 1e-9, at: (low + 8) / 16 })),
};

function distancesBy(
  [height, width]: Grid,
  [down, across]: readonly [number, number],
  norm: (y: number, x: number) => number,
): Float64Array {
  const tokens = height * width;
  const out = new Float64Array(tokens * tokens);
  for (let a = 0; a < tokens; a++)
    for (let b = 0; b < tokens; b++) {
      const y = Math.abs(Math.floor(a / width) - Math.floor(b / width));
      out[a * tokens + b] = norm(y * down, Math.abs((a % width) - (b % width)) * across);
    }
  return out;
}

/** Mean of what two different tokens have in common, over those `low` to `high` apart; undefined where there are none. */
function meanBetween(cosines: Float64Array, distances: Float64Array, low: number, high: number): number | undefined {
  let [sum, pairs] = [0, 0];
  for (let at = 0; at < cosines.length; at++) {
    if (distances[at] < low || distances[at] > high || distances[at] === 0) continue;
    sum += cosines[at];
    pairs++;
  }
  return pairs === 0 ? undefined : sum / pairs;
}

/** LDS (iREPA): mean cosine of near tokens minus that of far ones; undefined where the grid has none that far apart. */
export function localVersusDistant(cosines: Float64Array, distances: Float64Array, ruler: Ruler): number | undefined {
  const near = meanBetween(cosines, distances, 0, ruler.near);
  const far = meanBetween(cosines, distances, ruler.far, Infinity);
  return near === undefined || far === undefined ? undefined : near - far;
}

/** CDS (iREPA): how fast the mean cosine falls from ring to ring; undefined where the grid has fewer than two. */
export function correlationDecay(cosines: Float64Array, distances: Float64Array, ruler: Ruler): number | undefined {
  const points = ruler.rings.flatMap(({ low, high, at }): [number, number][] => {
    const mean = meanBetween(cosines, distances, low, high);
    return mean === undefined ? [] : [[at, mean]];
  });
  return points.length < 2 ? undefined : -leastSquares(points).slope;
}

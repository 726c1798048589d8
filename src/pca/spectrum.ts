import { hostMatMul, tf } from '../engine/index.js';
import { KrylovSpace } from './krylov.js';
import { orthonormal } from './orthonormal.js';
import { allPairs, type Pairs } from './pairs.js';

/** Leading part of a symmetric matrix's eigendecomposition. */
export interface Spectrum extends Pairs {
  /** Largest ‖A v − λ v‖ / λ₁ over the pairs; 0 where all of them were solved for at once. */
  residual: number;
}

export interface SpectrumOptions {
  /** How many of these eigenvalues, descending, are needed; undefined where more are. */
  needed: (values: Float64Array) => number | undefined;
  /** Default: block Lanczos where solving for all pairs would take seconds. */
  solver?: 'all' | 'block' | undefined;
}

/** Up to here all pairs are solved for at once. */
const ALL_AT_ONCE = 1536;

/** Eigenpairs of a positive semi-definite matrix `a` [n, n] from the largest on, at least as many as are needed. */
export function leadingSpectrum(a: Float64Array, n: number, { needed, solver }: SpectrumOptions): Spectrum {
  const byBlocks = (solver ?? (n > ALL_AT_ONCE ? 'block' : 'all')) === 'block';
  const found = byBlocks ? leadingPairs(a, n, needed) : undefined;
  return found ?? { ...allPairs(a, n), residual: 0 };
}

/** Pairs to find beyond those that are needed: by their last digits, double precision may ask for another. */
const SPARE = 4;
/** A pair counts as found once ‖A v − λ v‖ is this part of λ₁. */
const CONVERGED = 1e-6;
/** What single precision leaves of a residual, for √n terms of a sum. */
const ROUNDING = 1.5e-8;
/** What a space's dimensions are of the matrix's at most: to solve for all pairs in it takes time as their cube. */
const MOST = 1 / 3;
/** Of that, how many pairs may be needed, so that a restart leaves room to grow. */
const KEPT = 0.85;
const RESTARTS = 16;
/** Dimensions for each pair that is needed, as experience has it, and by how much a space grows between two looks at its pairs. */
const HEADROOM = 2.75;
const [LEAST_GROWTH, MOST_GROWTH] = [1.1, 2.5];

/**
 * Leading pairs by block Lanczos in single precision on the engine, since all that is taken from it is the space that they span; in
 * that they are found once more in double precision, and so are their residuals. Undefined where more are needed than such a space
 * is good for.
 */
function leadingPairs(a: Float64Array, n: number, needed: SpectrumOptions['needed']): Spectrum | undefined {
  const matrix = tf.tensor2d(new Float32Array(a), [n, n]);
  const converged = Math.max(CONVERGED, ROUNDING * Math.sqrt(n));
  const most = Math.floor(n * MOST);
  const space = new KrylovSpace(matrix, most);
  let size = n / 16;
  try {
    for (let restarts = 0; restarts < RESTARTS;) {
      space.growTo(size);
      const pairs = space.pairs();
      const open = pairs.residuals.findIndex(residual => residual > converged);
      const found = open < 0 ? space.size : open;
      const wanted = needed(pairs.values);
      if (wanted !== undefined && Math.min(wanted + SPARE, space.size) <= found) {
        const exact = doubleRitz(a, n, space.vectors(pairs, Math.min(wanted + SPARE, found)));
        return needed(exact.values) === undefined ? undefined : exact;
      }
      const expected = foreseen(pairs.values, n, needed);
      // What the matrix makes of the space lies in it: there is nothing else to find.
      if (open < 0 || (space.full && expected > KEPT * most)) return undefined;
      if (space.full) {
        space.restart(pairs, Math.floor(Math.min(KEPT * most, Math.max(1.15 * expected, found))));
        size = most;
        restarts++;
      } else size = space.size * clamp((HEADROOM * expected) / space.size, LEAST_GROWTH, MOST_GROWTH);
    }
    return undefined;
  } finally {
    matrix.dispose();
    space.dispose();
  }
}

const clamp = (x: number, least: number, most: number): number => Math.min(most, Math.max(least, x));

/** How many values will be needed, if they go on falling by the power law of those that a space tells well. */
function foreseen(values: Float64Array, n: number, needed: SpectrumOptions['needed']): number {
  const [from, to] = [values.length >> 3, values.length >> 1];
  const power = Math.log(values[to] / values[from]) / Math.log((to + 1) / (from + 1));
  const all = Float64Array.from({ length: n }, (_, k) =>
    k < to ? values[k] : values[to] * ((k + 1) / (to + 1)) ** power,
  );
  return needed(all) ?? n;
}

/** The best pairs within the span of some rows [count, n], in double precision throughout. */
function doubleRitz(a: Float64Array, n: number, rows: Float64Array): Spectrum {
  const count = rows.length / n;
  const basis = orthonormal(rows, n, 1);
  const image = imageOf(a, n, basis, count);
  const small = hostMatMul(image, basis, { m: count, k: n, n: count, transposeB: true });
  const { values, vectors: turn } = allPairs(small, count);
  const vectors = hostMatMul(turn, basis, { m: count, k: count, n });
  const images = hostMatMul(turn, image, { m: count, k: count, n });
  let residual = 0;
  values.forEach((value, i) => {
    let squares = 0;
    for (let j = i * n; j < (i + 1) * n; j++) squares += (images[j] - value * vectors[j]) ** 2;
    residual = Math.max(residual, Math.sqrt(squares) / values[0]);
  });
  return { values, vectors, residual };
}

/** Rows of the matrix that are multiplied at a time: the engine makes a copy of what it multiplies. */
const IMAGE_ROWS = 1024;

/** basis · A for a symmetric A, [size, n]. */
function imageOf(a: Float64Array, n: number, basis: Float64Array, size: number): Float64Array {
  if (n <= IMAGE_ROWS) return hostMatMul(basis, a, { m: size, k: n, n });
  const image = new Float64Array(size * n);
  for (let first = 0; first < n; first += IMAGE_ROWS) {
    const count = Math.min(IMAGE_ROWS, n - first);
    const rows = a.subarray(first * n, (first + count) * n);
    const part = hostMatMul(basis, rows, { m: size, k: n, n: count, transposeB: true });
    for (let i = 0; i < size; i++) image.set(part.subarray(i * count, (i + 1) * count), i * n + first);
  }
  return image;
}

import type { Eigen } from './solver.js';

/*
 * Eigenpairs of a symmetric matrix in plain JavaScript: Householder reflections make it tridiagonal, rotations with
 * implicit shifts (QL) make that diagonal (Golub & Van Loan, Matrix Computations, 8.3). All matrices are arrays of
 * doubles, walked along their rows.
 */

/** Eigenvalues of `a` [n, n], ascending, with eigenvectors as columns. */
export function symmetricEigen(a: Float64Array, n: number): Eigen {
  const { diagonal, beside, reflectors, scale } = tridiagonal(a, n);
  const rows = rotationOf(reflectors, n);
  diagonalise(diagonal, beside, rows);
  const order = Array.from(diagonal, (_, i) => i).sort((i, j) => diagonal[i] - diagonal[j]);
  const vectors = new Float64Array(n * n);
  for (let j = 0; j < n; j++) for (let i = 0; i < n; i++) vectors[i * n + j] = rows[order[j] * n + i];
  return { values: Float64Array.from(order, i => diagonal[i] * scale), vectors };
}

/** The values alone. */
export function symmetricEigenvalues(a: Float64Array, n: number): Float64Array {
  const { diagonal, beside, scale } = tridiagonal(a, n);
  diagonalise(diagonal, beside, undefined);
  return diagonal.map(value => value * scale).sort();
}

interface Tridiagonal {
  /** [n] */
  diagonal: Float64Array;
  /** [n], the last 0: between each entry of the diagonal and the next. */
  beside: Float64Array;
  /** [n, n]: row k holds √(2 / vᵀv) v of the reflection that cleared column k, of which the first k + 1 are 0. */
  reflectors: Float64Array;
  /** A power of two by which the matrix was divided, so that no square leaves the range of doubles. */
  scale: number;
}

function tridiagonal(a: Float64Array, n: number): Tridiagonal {
  let largest = 0;
  for (const value of a) largest = Math.max(largest, Math.abs(value));
  const scale = largest > 0 ? 2 ** Math.max(-1022, Math.floor(Math.log2(largest))) : 1;
  const m = a.map(value => value / scale);
  const beside = new Float64Array(n);
  const reflectors = new Float64Array(n * n);
  const image = new Float64Array(n);
  for (let k = 0; k < n - 1; k++) {
    const v = reflectors.subarray(k * n, (k + 1) * n);
    beside[k] = reflector(m.subarray(k * n, (k + 1) * n), v, k + 1);
    reflectBothSides(m, v, image, n, k + 1);
  }
  return { diagonal: Float64Array.from({ length: n }, (_, i) => m[i * n + i]), beside, reflectors, scale };
}

/** Squares of numbers so small, beside a largest one of about 1, lose their digits; where a matrix lacks rank they occur. */
const NOTHING = 1e-280;

/**
 * Into `v` the reflection that makes `x` from entry `first` on a multiple of that unit vector, scaled so that it is I − v vᵀ;
 * returns the multiple.
 */
function reflector(x: Float64Array, v: Float64Array, first: number): number {
  let rest = 0;
  for (let i = first + 1; i < x.length; i++) rest += x[i] * x[i];
  if (rest < NOTHING) return x[first];
  const length = Math.sqrt(x[first] * x[first] + rest);
  // Away from x, so that nothing cancels.
  const target = x[first] > 0 ? -length : length;
  const pivot = x[first] - target;
  const factor = Math.sqrt(2 / (pivot * pivot + rest));
  v[first] = pivot * factor;
  for (let i = first + 1; i < x.length; i++) v[i] = x[i] * factor;
  return target;
}

/** (I − v vᵀ) M (I − v vᵀ) = M − v wᵀ − w vᵀ with w = M v − ½ (vᵀ M v) v, on rows and columns from `first` on. */
function reflectBothSides(m: Float64Array, v: Float64Array, w: Float64Array, n: number, first: number): void {
  let both = 0;
  for (let i = first; i < n; i++) {
    let sum = 0;
    for (let j = first; j < n; j++) sum += m[i * n + j] * v[j];
    w[i] = sum;
    both += sum * v[i];
  }
  for (let i = first; i < n; i++) w[i] -= (both / 2) * v[i];
  for (let i = first; i < n; i++) {
    const vi = v[i];
    const wi = w[i];
    for (let j = first; j < n; j++) m[i * n + j] -= vi * w[j] + wi * v[j];
  }
}

/** The transposed product of all reflections, [n, n]: T = Qᵀ A Q for these rows of Qᵀ. */
function rotationOf(reflectors: Float64Array, n: number): Float64Array {
  const rows = new Float64Array(n * n);
  for (let i = 0; i < n; i++) rows[i * n + i] = 1;
  // From the last on, each meets only what the later ones have made: rows and columns behind its own.
  for (let k = n - 2; k >= 0; k--)
    for (let i = k + 1; i < n; i++) {
      let sum = 0;
      for (let j = k + 1; j < n; j++) sum += rows[i * n + j] * reflectors[k * n + j];
      if (sum !== 0) for (let j = k + 1; j < n; j++) rows[i * n + j] -= sum * reflectors[k * n + j];
    }
  return rows;
}

/** QL's usual number of rotations through the matrix per eigenvalue is two. */
const MOST_SWEEPS = 60;

/** Turns `diagonal` into the eigenvalues of the tridiagonal matrix; of `rows` those that belong together are rotated alike. */
function diagonalise(diagonal: Float64Array, beside: Float64Array, rows: Float64Array | undefined): void {
  const n = diagonal.length;
  // What rounding makes of the whole matrix; entries may be as small all around where the matrix lacks rank.
  const negligible =
    Number.EPSILON * diagonal.reduce((most, d, i) => Math.max(most, Math.abs(d) + Math.abs(beside[i])), 0);
  for (let low = 0; low < n; low++)
    for (let sweep = 0; ; sweep++) {
      let high = low;
      while (high < n - 1 && Math.abs(beside[high]) > negligible) high++;
      if (high === low) break;
      if (sweep === MOST_SWEEPS) throw new Error('the eigenvalues of a matrix were not found');
      rotateThrough(diagonal, beside, rows, low, high);
    }
}

/** One QL step with Wilkinson's shift on the block from `low` to `high`, from its end to its beginning. */
function rotateThrough(
  diagonal: Float64Array,
  beside: Float64Array,
  rows: Float64Array | undefined,
  low: number,
  high: number,
): void {
  const n = diagonal.length;
  const half = (diagonal[low + 1] - diagonal[low]) / (2 * beside[low]);
  const root = Math.sqrt(half * half + 1);
  let ahead = diagonal[high] - diagonal[low] + beside[low] / (half + (half < 0 ? -root : root));
  let sine = 1;
  let cosine = 1;
  let shift = 0;
  for (let i = high - 1; i >= low; i--) {
    const bulge = sine * beside[i];
    const kept = cosine * beside[i];
    const length = Math.sqrt(bulge * bulge + ahead * ahead);
    beside[i + 1] = length;
    if (length === 0) {
      // The block falls into two.
      diagonal[i + 1] -= shift;
      beside[high] = 0;
      return;
    }
    sine = bulge / length;
    cosine = ahead / length;
    const base = diagonal[i + 1] - shift;
    const turned = (diagonal[i] - base) * sine + 2 * cosine * kept;
    shift = sine * turned;
    diagonal[i + 1] = base + shift;
    ahead = cosine * turned - kept;
    if (rows) rotate(rows, i * n, (i + 1) * n, n, cosine, sine);
  }
  diagonal[low] -= shift;
  beside[low] = ahead;
  beside[high] = 0;
}

function rotate(rows: Float64Array, one: number, other: number, n: number, cosine: number, sine: number): void {
  for (let j = 0; j < n; j++) {
    const x = rows[one + j];
    const y = rows[other + j];
    rows[other + j] = sine * x + cosine * y;
    rows[one + j] = cosine * x - sine * y;
  }
}

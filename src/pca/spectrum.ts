import { cholesky, eigh, linearAlgebra, product, tf, triangularSolve, type Tensor2D } from '../engine/index.js';
import { RandomNumbers } from '../base/index.js';

/** Leading part of a symmetric matrix's eigendecomposition. */
export interface Spectrum {
  /** Descending. */
  values: Float64Array;
  /** [values.length, n]: a unit eigenvector per row. */
  vectors: Float64Array;
  /** Largest ‖A v − λ v‖ / λ₁ over the pairs; 0 where all of them were solved for at once. */
  residual: number;
}

export interface SpectrumOptions {
  /** Whether these eigenvalues, descending, are as many as are needed. */
  enough: (values: Float64Array) => boolean;
  /** Default: block iteration where solving for all pairs would take minutes. */
  solver?: 'all' | 'block' | undefined;
}

/** Up to here all pairs are solved for at once; LAPACK is several times faster than TensorFlow's solver. */
const ALL_AT_ONCE = { lapack: 5000, other: 1536 };

/** Eigenpairs of a positive semi-definite matrix `a` [n, n] from the largest on, at least as many as are needed. */
export function leadingSpectrum(a: Float64Array, n: number, { enough, solver }: SpectrumOptions): Spectrum {
  const limit = linearAlgebra().name.startsWith('LAPACK') ? ALL_AT_ONCE.lapack : ALL_AT_ONCE.other;
  if ((solver ?? (n <= limit ? 'all' : 'block')) === 'all') return allPairs(a, n);
  let basis: Float64Array | undefined;
  for (let size = Math.ceil(n / 16); size <= n / 3; size *= 2) {
    const found = blockIteration(a, n, size, basis, enough);
    const sure = counted(found.values);
    if (enough(sure)) return truncated(found, n, sure.length);
    basis = found.vectors;
  }
  return allPairs(a, n);
}

/** The last tenth of a block converges slowest and is not counted on. */
const counted = (values: Float64Array): Float64Array => values.subarray(0, Math.floor(values.length * 0.9));

function allPairs(a: Float64Array, n: number): Spectrum {
  const { values, vectors } = eigh(a, n);
  const rows = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) rows[(n - 1 - j) * n + i] = vectors[i * n + j];
  return { values: values.toReversed(), vectors: rows, residual: 0 };
}

const truncated = ({ values, vectors, residual }: Spectrum, n: number, count: number): Spectrum => ({
  values: values.slice(0, count),
  vectors: vectors.slice(0, count * n),
  residual,
});

/** A pair counts as found once ‖A v − λ v‖ is this part of λ₁. */
const CONVERGED = 1e-6;
const ROUNDS = 24;
/** After so many the values are known well enough to see that a block is far too small. */
const TRIAL_ROUNDS = 1;
const HIGHEST_DEGREE = 10;
/** How much more the filter may raise the largest value than the cut: single precision must still tell them apart. */
const STEEPEST = 1e4;

/**
 * Subspace iteration with a Chebyshev filter (Zhou & Saad 2007): a polynomial of the matrix that is small on the part of
 * the spectrum below the block and grows steeply above it; then Rayleigh–Ritz in double precision. Pairs that are
 * found are locked and kept out of the filter, whose degree may then grow.
 */
function blockIteration(
  a: Float64Array,
  n: number,
  size: number,
  start: Float64Array | undefined,
  enough: SpectrumOptions['enough'],
): Spectrum {
  const matrix = tf.tensor2d(Float32Array.from(a), [n, n]);
  const needed = counted(new Float64Array(size)).length;
  try {
    let ritz = rayleighRitz(a, n, orthonormal(startingBlock(n, size, start), size, n), size);
    for (let round = 0; round < ROUNDS; round++) {
      const open = ritz.residuals.findIndex(residual => residual > CONVERGED);
      if (open < 0 || open >= needed) break;
      if (round === TRIAL_ROUNDS && !enough(ritz.values)) break;
      const filtered = ritz.vectors.slice();
      filtered.set(chebyshev(matrix, ritz, open), open * n);
      ritz = rayleighRitz(a, n, orthonormal(filtered, size, n), size);
    }
    return { ...ritz, residual: ritz.residuals.subarray(0, needed).reduce((most, r) => Math.max(most, r), 0) };
  } finally {
    matrix.dispose();
  }
}

function startingBlock(n: number, size: number, start: Float64Array | undefined): Float64Array {
  const block = Float64Array.from(new RandomNumbers(0).for('spectrum').normals(size * n));
  if (start) block.set(start.subarray(0, block.length));
  return block;
}

interface Ritz {
  values: Float64Array;
  vectors: Float64Array;
  residuals: Float64Array;
}

/**
 * The vectors from `open` on under a Chebyshev polynomial of the matrix mapped so that [0, smallest value] becomes
 * [−1, 1], scaled by its value at the largest open one; those before `open` are projected out at every step.
 */
function chebyshev(matrix: Tensor2D, { values, vectors }: Ritz, open: number): Float64Array {
  const [n] = matrix.shape;
  const top = values[open];
  const cut = Math.max(values[values.length - 1], top * 1e-7);
  const half = cut / 2;
  const growth = Math.acosh(Math.max(1 + 1e-9, (2 * top) / cut - 1));
  const degree = Math.max(1, Math.min(HIGHEST_DEGREE, Math.floor(Math.acosh(STEEPEST) / growth)));
  const result = tf.tidy(() => {
    const locked = open > 0 ? tf.tensor2d(Float32Array.from(vectors.subarray(0, open * n)), [open, n]) : undefined;
    const image = (x: Tensor2D): Tensor2D => {
      const y: Tensor2D = tf.matMul(x, matrix);
      return locked ? y.sub(tf.matMul(tf.matMul(y, locked, false, true), locked)) : y;
    };
    let previous = tf.tensor2d(Float32Array.from(vectors.subarray(open * n)), [values.length - open, n]);
    // Scaled at every step, so that nothing overflows.
    let sigma = half / Math.max(half * 1e-6, top - half);
    const tau = 2 / sigma;
    let current: Tensor2D = image(previous)
      .sub(previous.mul(half))
      .mul(sigma / half);
    for (let step = 2; step <= degree; step++) {
      const next = 1 / (tau - sigma);
      const mapped: Tensor2D = image(current)
        .sub(current.mul(half))
        .mul((2 * next) / half);
      [previous, current] = [current, mapped.sub(previous.mul(sigma * next))];
      sigma = next;
    }
    return current;
  });
  const filtered = Float64Array.from(result.dataSync());
  result.dispose();
  return filtered;
}

/** Rows made orthonormal: twice by the Cholesky factor of their Gram matrix, which is as stable as Gram–Schmidt twice. */
function orthonormal(block: Float64Array, size: number, n: number): Float64Array {
  let rows = normalised(block, size, n);
  for (let pass = 0; pass < 2; pass++) {
    const gram = product(rows, rows, { m: size, k: n, n: size, transposeB: true });
    // Nearly dependent rows may make it singular to working precision the first time.
    if (pass === 0) for (let i = 0; i < size; i++) gram[i * size + i] += 1e-13 * size;
    rows = triangularSolve(cholesky(gram, size), rows, size, n);
  }
  return rows;
}

function normalised(block: Float64Array, size: number, n: number): Float64Array {
  const out = new Float64Array(block.length);
  for (let i = 0; i < size; i++) {
    let squares = 0;
    for (let j = 0; j < n; j++) squares += block[i * n + j] ** 2;
    const scale = 1 / Math.sqrt(squares);
    for (let j = 0; j < n; j++) out[i * n + j] = block[i * n + j] * scale;
  }
  return out;
}

/** The best eigenpairs within the span of orthonormal rows, with their residuals as parts of the largest value. */
function rayleighRitz(a: Float64Array, n: number, basis: Float64Array, size: number): Ritz {
  const image = imageOf(a, n, basis, size);
  const small = product(image, basis, { m: size, k: n, n: size, transposeB: true });
  for (let i = 0; i < size; i++)
    for (let j = 0; j < i; j++)
      small[i * size + j] = small[j * size + i] = 0.5 * (small[i * size + j] + small[j * size + i]);
  const { values, vectors: coefficients } = allPairs(small, size);
  const vectors = product(coefficients, basis, { m: size, k: size, n });
  const images = product(coefficients, image, { m: size, k: size, n });
  const residuals = values.map((value, i) => {
    let squares = 0;
    for (let j = i * n; j < (i + 1) * n; j++) squares += (images[j] - value * vectors[j]) ** 2;
    return Math.sqrt(squares) / values[0];
  });
  return { values, vectors, residuals };
}

/** Rows of the matrix that are multiplied at a time: the engine makes a copy of what it multiplies. */
const IMAGE_ROWS = 1024;

/** basis · A for a symmetric A, [size, n]. */
function imageOf(a: Float64Array, n: number, basis: Float64Array, size: number): Float64Array {
  if (n <= IMAGE_ROWS) return product(basis, a, { m: size, k: n, n });
  const image = new Float64Array(size * n);
  for (let first = 0; first < n; first += IMAGE_ROWS) {
    const count = Math.min(IMAGE_ROWS, n - first);
    const rows = a.subarray(first * n, (first + count) * n);
    const part = product(basis, rows, { m: size, k: n, n: count, transposeB: true });
    for (let i = 0; i < size; i++) image.set(part.subarray(i * count, (i + 1) * count), i * n + first);
  }
  return image;
}

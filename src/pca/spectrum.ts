import {
  cholesky,
  eigh,
  hostMatMul,
  linearAlgebra,
  NotPositiveDefiniteError,
  tf,
  triangularSolve,
  type Tensor,
  type Tensor2D,
} from '../engine/index.js';
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
  /** How many of these eigenvalues, descending, are needed; undefined where more are. */
  needed: (values: Float64Array) => number | undefined;
  /** Default: block iteration where solving for all pairs would take minutes. */
  solver?: 'all' | 'block' | undefined;
}

/** Up to here all pairs are solved for at once; LAPACK is several times faster than TensorFlow's solver. */
const ALL_AT_ONCE = { lapack: 5000, other: 1536 };

/** Eigenpairs of a positive semi-definite matrix `a` [n, n] from the largest on, at least as many as are needed. */
export function leadingSpectrum(a: Float64Array, n: number, { needed, solver }: SpectrumOptions): Spectrum {
  const limit = linearAlgebra().name.startsWith('LAPACK') ? ALL_AT_ONCE.lapack : ALL_AT_ONCE.other;
  if ((solver ?? (n <= limit ? 'all' : 'block')) === 'all') return allPairs(a, n);
  let start: Float32Array | undefined;
  for (let size = Math.ceil(n / 16); size <= n / 3;) {
    const found = blockIteration(a, n, size, start, needed);
    if ('residual' in found) return found;
    start = found.basis;
    const next = Math.min(n / 3, HEADROOM * foreseen(found.values, n, needed));
    size = Math.floor(Math.max(GROWTH * size + 1, next));
  }
  return allPairs(a, n);
}

/** How much larger the next block is at least, and than what is foreseen: pairs far from a block's end are found sooner. */
const [GROWTH, HEADROOM] = [1.25, 1.3];

/** How many values will be needed, if they go on falling by the power law of those that a block tells well. */
function foreseen(values: Float64Array, n: number, needed: SpectrumOptions['needed']): number {
  const [from, to] = [values.length >> 3, values.length >> 1];
  const power = Math.log(values[to] / values[from]) / Math.log((to + 1) / (from + 1));
  const all = Float64Array.from({ length: n }, (_, k) =>
    k < to ? values[k] : values[to] * ((k + 1) / (to + 1)) ** power,
  );
  return needed(all) ?? n;
}

/** Pairs to find beyond those that are needed: by their last digits, double precision may ask for another. */
const SPARE = 4;
/** Of a block's pairs that can be found at all: the last tenth converges slowest. */
const COUNTED = 0.9;

function allPairs(a: Float64Array, n: number): Spectrum {
  const { values, vectors } = eigh(a, n);
  const rows = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) rows[(n - 1 - j) * n + i] = vectors[i * n + j];
  return { values: values.toReversed(), vectors: rows, residual: 0 };
}

/** A pair counts as found once ‖A v − λ v‖ is this part of λ₁. */
const CONVERGED = 1e-6;
/** What single precision leaves of a residual, for √n terms of a sum. */
const ROUNDING = 1.5e-8;
const ROUNDS = 16;
const HIGHEST_DEGREE = 10;
/** How much more the filter may raise the largest value than the cut: single precision must still tell them apart. */
const STEEPEST = 1e4;

/**
 * Subspace iteration with a Chebyshev filter (Zhou & Saad 2007): a polynomial of the matrix that is small on the part of
 * the spectrum below the block and grows steeply above it; then Rayleigh–Ritz. Pairs that are found are locked and kept
 * out of the filter, whose degree may then grow. All of it in single precision on the engine, since all that a round
 * hands on is a subspace; the last Rayleigh–Ritz is in double precision, and so are its residuals.
 * @returns the pairs, or where the block is too small for what is needed, what it spans.
 */
function blockIteration(
  a: Float64Array,
  n: number,
  size: number,
  start: Float32Array | undefined,
  needed: SpectrumOptions['needed'],
): Spectrum | { basis: Float32Array; values: Float64Array } {
  const matrix = tf.tensor2d(new Float32Array(a), [n, n]);
  const converged = Math.max(CONVERGED, ROUNDING * Math.sqrt(n));
  // What is random in the block is raised once before anything is asked of it.
  let ritz = singleRitz(matrix, raised(matrix, startingBlock(n, size, start)));
  const found = Math.floor(COUNTED * size);
  const wantedOf = (values: Float64Array): number | undefined => {
    const count = needed(values);
    return count === undefined || count > found ? undefined : Math.min(found, count + SPARE);
  };
  try {
    let wanted = wantedOf(ritz.values);
    for (let round = 0; round < ROUNDS; round++) {
      const open = ritz.residuals.findIndex(residual => residual > converged);
      // A block that seems too small gets one round more, so that it tells better what is needed.
      if (open < 0 || (wanted === undefined ? round > 0 : open >= wanted)) break;
      const block = filtered(matrix, ritz, open);
      ritz.vectors.dispose();
      ritz = singleRitz(matrix, block);
      wanted = wantedOf(ritz.values);
    }
    const basis = ritz.vectors.dataSync() as Float32Array;
    const last = wanted === undefined ? undefined : doubleRitz(a, n, new Float64Array(basis), size, wanted);
    return last && needed(last.values) !== undefined ? last : { basis, values: ritz.values };
  } finally {
    tf.dispose([matrix, ritz.vectors]);
  }
}

function startingBlock(n: number, size: number, start: Float32Array | undefined): Float32Array {
  const known = Math.min(size * n, start?.length ?? 0);
  const block = new Float32Array(size * n);
  if (start) block.set(start.subarray(0, known));
  // Other numbers than those that the known ones began as, which would add nothing to them.
  const random = new RandomNumbers(0).for('spectrum').at(size);
  block.set(random.normals(size * n - known), known);
  return block;
}

/** One step of the power method. */
function raised(matrix: Tensor2D, block: Float32Array): Tensor2D {
  const [n] = matrix.shape;
  return tf.tidy(() => tf.matMul(tf.tensor2d(block, [block.length / n, n]), matrix));
}

interface Ritz {
  /** Descending. */
  values: Float64Array;
  /** [size, n], orthonormal. */
  vectors: Tensor2D;
  /** Parts of the largest value. */
  residuals: Float32Array;
}

/** Where the filter ends: the block's smallest value, or what single precision calls nothing beside a larger one. */
const cutBelow = (values: Float64Array, first: number): number =>
  Math.max(values[values.length - 1], values[first] * 1e-7);

/** Values up to this many times the cut are filtered apart from larger ones. */
const NEAR = 2;

/**
 * The vectors from `open` on, filtered; those before it stay. Vectors of large values get ahead by any filter, but they
 * bound its degree: those near the cut, which need it, get one of their own.
 */
function filtered(matrix: Tensor2D, ritz: Ritz, open: number): Tensor2D {
  const { values, vectors } = ritz;
  const size = values.length;
  const near = values.findIndex((value, i) => i >= open && value <= NEAR * cutBelow(values, open));
  return tf.tidy(() => {
    const kept: Tensor2D[] = open > 0 ? [vectors.slice([0, 0], [open, -1])] : [];
    if (near > open) kept.push(chebyshev(matrix, ritz, open, near));
    return tf.concat([...kept, chebyshev(matrix, ritz, near, size)], 0);
  });
}

/**
 * The vectors from `first` to `last` under a Chebyshev polynomial of the matrix mapped so that [0, smallest value]
 * becomes [−1, 1], scaled by its value at the first; those before are projected out at every step.
 */
function chebyshev(matrix: Tensor2D, { values, vectors }: Ritz, first: number, last: number): Tensor2D {
  const top = values[first];
  const cut = cutBelow(values, first);
  const half = cut / 2;
  const growth = Math.acosh(Math.max(1 + 1e-9, (2 * top) / cut - 1));
  const degree = Math.max(1, Math.min(HIGHEST_DEGREE, Math.floor(Math.acosh(STEEPEST) / growth)));
  const before: Tensor2D | undefined = first > 0 ? vectors.slice([0, 0], [first, -1]) : undefined;
  const image = (x: Tensor2D): Tensor2D => {
    const y: Tensor2D = tf.matMul(x, matrix);
    return before ? y.sub(tf.matMul(tf.matMul(y, before, false, true), before)) : y;
  };
  let previous: Tensor2D = vectors.slice([first, 0], [last - first, -1]);
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
}

/** The best eigenpairs within the span of some rows, which are disposed of. */
function singleRitz(matrix: Tensor2D, block: Tensor2D): Ritz {
  const [size] = block.shape;
  const basis = nearlyOrthonormal(block);
  const values = new Float64Array(size);
  const [vectors, residuals] = tf.tidy((): [Tensor2D, Tensor] => {
    const image: Tensor2D = tf.matMul(basis, matrix);
    const small = tf.matMul(image, basis, false, true).dataSync();
    const found = allPairs(symmetric(Float64Array.from(small), size), size);
    values.set(found.values);
    const turn = tf.tensor2d(Float32Array.from(found.vectors), [size, size]);
    const vectors: Tensor2D = tf.matMul(turn, basis);
    const scaled = vectors.mul(tf.tensor2d(Float32Array.from(values), [size, 1]));
    return [vectors, tf.matMul(turn, image).sub(scaled).norm('euclidean', 1).div(values[0])];
  });
  basis.dispose();
  const parts = residuals.dataSync() as Float32Array;
  residuals.dispose();
  return { values, vectors, residuals: parts };
}

/** Rows made orthonormal to single precision, by Gram matrices of the engine as long as it can tell the rows apart. */
function nearlyOrthonormal(block: Tensor2D): Tensor2D {
  const [size, n] = block.shape;
  try {
    return tf.tidy(() => {
      let rows: Tensor2D = block.div(block.norm('euclidean', 1, true));
      for (let pass = 0; pass < 2; pass++) {
        const gram = Float64Array.from(tf.matMul(rows, rows, false, true).dataSync());
        const inverse = triangularSolve(cholesky(gram, size), identity(size), size, size);
        rows = tf.matMul(tf.tensor2d(Float32Array.from(inverse), [size, size]), rows);
      }
      return rows;
    });
  } catch (error) {
    if (!(error instanceof NotPositiveDefiniteError)) throw error;
    const rows = orthonormal(Float64Array.from(block.dataSync()), size, n, 2);
    return tf.tensor2d(Float32Array.from(rows), [size, n]);
  } finally {
    block.dispose();
  }
}

const identity = (size: number): Float64Array =>
  Float64Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));

/** The first `count` pairs in double precision throughout. */
function doubleRitz(a: Float64Array, n: number, block: Float64Array, size: number, count: number): Spectrum {
  const basis = orthonormal(block, size, n, 1);
  const image = imageOf(a, n, basis, size);
  const small = hostMatMul(image, basis, { m: size, k: n, n: size, transposeB: true });
  const found = allPairs(symmetric(small, size), size);
  const values = found.values.slice(0, count);
  const coefficients = found.vectors.subarray(0, count * size);
  const vectors = hostMatMul(coefficients, basis, { m: count, k: size, n });
  const images = hostMatMul(coefficients, image, { m: count, k: size, n });
  let residual = 0;
  values.forEach((value, i) => {
    let squares = 0;
    for (let j = i * n; j < (i + 1) * n; j++) squares += (images[j] - value * vectors[j]) ** 2;
    residual = Math.max(residual, Math.sqrt(squares) / values[0]);
  });
  return { values, vectors, residual };
}

/** The mean of a matrix and its transpose, in place. */
function symmetric(matrix: Float64Array, size: number): Float64Array {
  for (let i = 0; i < size; i++)
    for (let j = 0; j < i; j++)
      matrix[i * size + j] = matrix[j * size + i] = 0.5 * (matrix[i * size + j] + matrix[j * size + i]);
  return matrix;
}

/**
 * Rows made orthonormal by the Cholesky factor of their Gram matrix: once for what single precision can tell, twice as
 * stable as Gram–Schmidt twice.
 */
function orthonormal(block: Float64Array, size: number, n: number, passes: 1 | 2): Float64Array {
  let rows = normalised(block, size, n);
  for (let pass = 0; pass < passes; pass++) {
    const gram = hostMatMul(rows, rows, { m: size, k: n, n: size, transposeB: true });
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

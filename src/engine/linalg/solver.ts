/** Dense linear algebra in double precision on the host. Matrices are row-major; inputs are left as they are. */
export interface LinearAlgebra {
  /** Which library does the work, for `doctor`. */
  readonly name: string;
  readonly eigh: (a: Float64Array, n: number) => Eigen;
  /** The values of `eigh` alone, in a fraction of its time. */
  readonly eigenvalues: (a: Float64Array, n: number) => Float64Array;
  readonly cholesky: (a: Float64Array, n: number) => Float64Array;
  readonly triangularSolve: (l: Float64Array, b: Float64Array, n: number, m: number) => Float64Array;
  readonly matMul: (a: Float64Array, b: Float64Array, shape: ProductShape) => Float64Array;
}

export interface Eigen {
  /** [n], ascending. */
  values: Float64Array;
  /** [n, n]; column j is the unit eigenvector of values[j]. */
  vectors: Float64Array;
}

/** op(a) [m, k] · op(b) [k, n] → [m, n]; a transposed operand is stored as [k, m] or [n, k]. */
export interface ProductShape {
  m: number;
  k: number;
  n: number;
  transposeA?: boolean;
  transposeB?: boolean;
}

/** The matrix given to `cholesky` has an eigenvalue that is zero, negative or no number. */
export class NotPositiveDefiniteError extends Error {
  override readonly name = 'NotPositiveDefiniteError';
  constructor() {
    super('the matrix is not positive definite');
  }
}

/** [rows, columns] → [columns, rows], in tiles that stay in the cache. */
export function transposed(a: Float64Array, rows: number, columns: number): Float64Array {
  const TILE = 32;
  const out = new Float64Array(a.length);
  for (let top = 0; top < rows; top += TILE)
    for (let left = 0; left < columns; left += TILE)
      for (let i = top; i < Math.min(top + TILE, rows); i++)
        for (let j = left; j < Math.min(left + TILE, columns); j++) out[j * rows + i] = a[i * columns + j];
  return out;
}

/** Zeroes what lies above the diagonal, in place. */
export function clearUpper(l: Float64Array, n: number): Float64Array {
  for (let i = 0; i < n; i++) l.fill(0, i * n + i + 1, (i + 1) * n);
  return l;
}

import { linearAlgebra } from './choice.js';
import type { Eigen, ProductShape } from './solver.js';
export { linearAlgebra } from './choice.js';
export { rowProducts, type FloatRows } from './row-products.js';
export { NotPositiveDefiniteError } from './solver.js';

/** Eigenvalues and eigenvectors of a symmetric matrix `a` [n, n], row-major. @throws where `a` is not finite. */
export function eigh(a: Float64Array, n: number): Eigen {
  requireFinite(a);
  return linearAlgebra().eigh(a, n);
}

/** The eigenvalues alone, ascending. @throws where `a` is not finite. */
export function eigenvalues(a: Float64Array, n: number): Float64Array {
  requireFinite(a);
  return linearAlgebra().eigenvalues(a, n);
}

/** LAPACK may never return from a NaN. */
function requireFinite(a: Float64Array): void {
  if (!a.every(Number.isFinite)) throw new Error('the matrix whose eigenvalues are asked for holds NaN or infinity');
}

/**
 * Lower L with a = L Lᵀ, row-major [n, n], zeros above the diagonal. Reads a symmetric `a`.
 * @throws NotPositiveDefiniteError
 */
export function cholesky(a: Float64Array, n: number): Float64Array {
  return linearAlgebra().cholesky(a, n);
}

/** X [n, m] with L X = B for a lower `l` [n, n] and `b` [n, m]. */
export function triangularSolve(l: Float64Array, b: Float64Array, n: number, m: number): Float64Array {
  return linearAlgebra().triangularSolve(l, b, n, m);
}

/**
 * op(a) · op(b) of float64 arrays on the host; `matMul` is that of tensors. E.g. Xᵀ X:
 * `hostMatMul(x, x, { m: d, k: rows, n: d, transposeA: true })`.
 */
export function hostMatMul(a: Float64Array, b: Float64Array, shape: ProductShape): Float64Array {
  return linearAlgebra().matMul(a, b, shape);
}

import { eigh } from '../engine/index.js';

/** Eigenpairs of a symmetric matrix [n, n]. */
export interface Pairs {
  /** Descending. */
  values: Float64Array;
  /** [values.length, n]: a unit eigenvector per row. */
  vectors: Float64Array;
}

/** All of them. What rounding left of asymmetry is taken out of the matrix, in place. */
export function allPairs(a: Float64Array, n: number): Pairs {
  for (let i = 0; i < n; i++)
    for (let j = 0; j < i; j++) a[i * n + j] = a[j * n + i] = 0.5 * (a[i * n + j] + a[j * n + i]);
  const { values, vectors } = eigh(a, n);
  const rows = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) rows[(n - 1 - j) * n + i] = vectors[i * n + j];
  return { values: values.toReversed(), vectors: rows };
}

import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { NotPositiveDefiniteError, transposed, type LinearAlgebra } from './solver.js';

/** ml-matrix and plain loops: what is left where neither LAPACK nor TensorFlow is there. */
export const javascriptAlgebra: LinearAlgebra = {
  name: 'ml-matrix',

  eigh: (a, n) => {
    const decomposition = new EigenvalueDecomposition(Matrix.from1DArray(n, n, a), { assumeSymmetric: true });
    const order = decomposition.realEigenvalues.map((_, i) => i);
    order.sort((i, j) => decomposition.realEigenvalues[i] - decomposition.realEigenvalues[j]);
    const vectors = new Float64Array(n * n);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) vectors[i * n + j] = decomposition.eigenvectorMatrix.get(i, order[j]);
    return { values: Float64Array.from(order, i => decomposition.realEigenvalues[i]), vectors };
  },

  // ml-matrix computes the vectors in any case.
  eigenvalues: (a, n) => javascriptAlgebra.eigh(a, n).values,

  cholesky: (a, n) => {
    const l = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = a[i * n + j];
        for (let k = 0; k < j; k++) sum -= l[i * n + k] * l[j * n + k];
        if (i !== j) l[i * n + j] = sum / l[j * n + j];
        else if (sum > 0 && Number.isFinite(sum)) l[i * n + i] = Math.sqrt(sum);
        else throw new NotPositiveDefiniteError();
      }
    }
    return l;
  },

  triangularSolve: (l, b, n, m) => {
    const x = Float64Array.from(b);
    for (let i = 0; i < n; i++) {
      for (let k = 0; k < i; k++) {
        const factor = l[i * n + k];
        if (factor !== 0) for (let j = 0; j < m; j++) x[i * m + j] -= factor * x[k * m + j];
      }
      for (let j = 0; j < m; j++) x[i * m + j] /= l[i * n + i];
    }
    return x;
  },

  matMul: (a, b, { m, k, n, transposeA = false, transposeB = false }) => {
    const left = transposeA ? transposed(a, k, m) : a;
    const right = transposeB ? transposed(b, n, k) : b;
    const c = new Float64Array(m * n);
    // Innermost along rows of both `right` and `c`, so that memory is read in order.
    for (let i = 0; i < m; i++)
      for (let p = 0; p < k; p++) {
        const factor = left[i * k + p];
        for (let j = 0; j < n; j++) c[i * n + j] += factor * right[p * n + j];
      }
    return c;
  },
};

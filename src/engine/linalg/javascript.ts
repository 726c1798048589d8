import { NotPositiveDefiniteError, transposed, type LinearAlgebra } from './solver.js';
import { symmetricEigen, symmetricEigenvalues } from './symmetric.js';

/** Plain loops: what is left where neither LAPACK nor TensorFlow is there. */
export const javascriptAlgebra: LinearAlgebra = {
  name: 'JavaScript',

  eigh: symmetricEigen,
  eigenvalues: symmetricEigenvalues,

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

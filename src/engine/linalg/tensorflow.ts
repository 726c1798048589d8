import { onNative } from '../native.js';
import { NotPositiveDefiniteError, type LinearAlgebra } from './solver.js';

const T = { T: { type: 'float64' } } as const;

/** TensorFlow's own solvers (Eigen on the CPU, cuSOLVER on a GPU), in float64. */
export const tensorflowAlgebra: LinearAlgebra = {
  name: 'TensorFlow',

  eigh: (a, n) =>
    onNative(scope => {
      const [values, vectors] = scope.op(
        'SelfAdjointEigV2',
        [scope.float64(a, [n, n])],
        { ...T, compute_v: { bool: true } },
        2,
      );
      return { values: scope.readFloat64(values), vectors: scope.readFloat64(vectors) };
    }),

  eigenvalues: (a, n) =>
    onNative(scope =>
      scope.readFloat64(
        scope.op('SelfAdjointEigV2', [scope.float64(a, [n, n])], { ...T, compute_v: { bool: false } }, 2)[0],
      ),
    ),

  cholesky: (a, n) =>
    onNative(scope => {
      const l = scope.readFloat64(scope.op('Cholesky', [scope.float64(a, [n, n])], T)[0]);
      // It reports failure as NaN, not as an error.
      if (!Number.isFinite(l[l.length - 1])) throw new NotPositiveDefiniteError();
      return l;
    }),

  triangularSolve: (l, b, n, m) =>
    onNative(scope =>
      scope.readFloat64(
        scope.op('MatrixTriangularSolve', [scope.float64(l, [n, n]), scope.float64(b, [n, m])], {
          ...T,
          lower: { bool: true },
          adjoint: { bool: false },
        })[0],
      ),
    ),

  matMul: (a, b, { m, k, n, transposeA = false, transposeB = false }) =>
    onNative(scope =>
      scope.readFloat64(
        scope.op(
          'MatMul',
          [scope.float64(a, transposeA ? [k, m] : [m, k]), scope.float64(b, transposeB ? [n, k] : [k, n])],
          { ...T, transpose_a: { bool: transposeA }, transpose_b: { bool: transposeB } },
        )[0],
      ),
    ),
};

import koffi from 'koffi';
import { clearUpper, NotPositiveDefiniteError, transposed, type LinearAlgebra } from './solver.js';

/** System libraries with LAPACK's and BLAS's Fortran symbols, the fastest first. */
const LIBRARIES = [
  'libopenblas.so.0',
  'libmkl_rt.so.2',
  'libflexiblas.so.3',
  'liblapack.so.3',
  '/System/Library/Frameworks/Accelerate.framework/Accelerate',
];

type Routine = (...args: unknown[]) => void;
const INT = 'int *';
const DOUBLE = 'double *';

/** LAPACK through the foreign-function interface, or undefined where no such library is installed. */
export function openLapack(): LinearAlgebra | undefined {
  for (const library of LIBRARIES) {
    try {
      return lapack(library);
    } catch {
      // Not installed, or without these routines: try the next.
    }
  }
  return undefined;
}

function lapack(library: string): LinearAlgebra {
  const loaded = koffi.load(library);
  const routine = (name: string, ...types: string[]): Routine => loaded.func(name, 'void', types) as Routine;
  const character = 'const char *';
  // int32 and double by reference, as Fortran passes them.
  const dsyevd = routine('dsyevd_', character, character, INT, DOUBLE, INT, DOUBLE, DOUBLE, INT, INT, INT, INT);
  const dpotrf = routine('dpotrf_', character, INT, DOUBLE, INT, INT);
  const dtrsm = routine(
    'dtrsm_',
    ...[character, character, character, character, INT, INT, DOUBLE, DOUBLE, INT, DOUBLE, INT],
  );
  const dgemm = routine(
    'dgemm_',
    ...[character, character, INT, INT, INT, DOUBLE, DOUBLE, INT, DOUBLE, INT, DOUBLE, DOUBLE, INT],
  );
  const int = (value: number): Int32Array => Int32Array.of(value);
  const one = Float64Array.of(1);
  const zero = Float64Array.of(0);

  /** Eigenvalues of a symmetric matrix and, for job V, its eigenvectors as columns of column-major memory. */
  function decompose(job: 'V' | 'N', a: Float64Array, n: number): { values: Float64Array; columns: Float64Array } {
    const columns = Float64Array.from(a);
    const values = new Float64Array(n);
    const info = int(0);
    const call = (work: Float64Array, lwork: number, iwork: Int32Array, liwork: number): void =>
      dsyevd(job, 'U', int(n), columns, int(n), values, work, int(lwork), iwork, int(liwork), info);
    const workSize = new Float64Array(1);
    const iworkSize = new Int32Array(1);
    call(workSize, -1, iworkSize, -1);
    call(new Float64Array(workSize[0]), workSize[0], new Int32Array(iworkSize[0]), iworkSize[0]);
    if (info[0] !== 0) throw new Error(`dsyevd did not converge (info ${info[0]})`);
    return { values, columns };
  }

  // Row-major memory read as column-major is the transpose; each call below is stated for that transpose.
  return {
    name: `LAPACK (${library})`,

    eigh: (a, n) => {
      const { values, columns } = decompose('V', a, n);
      return { values, vectors: transposed(columns, n, n) };
    },

    eigenvalues: (a, n) => decompose('N', a, n).values,

    cholesky: (a, n) => {
      const l = Float64Array.from(a);
      const info = int(0);
      dpotrf('U', int(n), l, int(n), info);
      if (info[0] !== 0 || !Number.isFinite(l[l.length - 1])) throw new NotPositiveDefiniteError();
      return clearUpper(l, n);
    },

    triangularSolve: (l, b, n, m) => {
      const x = Float64Array.from(b);
      dtrsm('R', 'U', 'N', 'N', int(m), int(n), one, l, int(n), x, int(m));
      return x;
    },

    matMul: (a, b, { m, k, n, transposeA = false, transposeB = false }) => {
      const c = new Float64Array(m * n);
      const lda = int(transposeA ? m : k);
      const ldb = int(transposeB ? k : n);
      const flag = (transpose: boolean): string => (transpose ? 'T' : 'N');
      dgemm(flag(transposeB), flag(transposeA), int(n), int(m), int(k), one, b, ldb, a, lda, zero, c, int(n));
      return c;
    },
  };
}

import { cholesky, hostMatMul, NotPositiveDefiniteError, tf, triangularSolve, type Tensor2D } from '../engine/index.js';

/** Rows [size, n] made orthonormal to single precision, by Gram matrices of the engine as long as it can tell the rows apart. */
export function orthonormalRows(block: Tensor2D): Tensor2D {
  const [size, n] = block.shape;
  try {
    return tf.tidy(() => {
      let rows: Tensor2D = block.div(block.square().sum(1, true).sqrt());
      for (let pass = 0; pass < 2; pass++) {
        const gram = Float64Array.from(tf.matMul(rows, rows, false, true).dataSync());
        const inverse = triangularSolve(cholesky(gram, size), identity(size), size, size);
        rows = tf.matMul(tf.tensor2d(Float32Array.from(inverse), [size, size]), rows);
      }
      return rows;
    });
  } catch (error) {
    if (!(error instanceof NotPositiveDefiniteError)) throw error;
    return tf.tensor2d(Float32Array.from(orthonormal(Float64Array.from(block.dataSync()), n, 2)), [size, n]);
  }
}

const identity = (size: number): Float64Array =>
  Float64Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));

/**
 * Rows of n numbers made orthonormal in double precision by the Cholesky factor of their Gram matrix: once for what single precision
 * can tell, twice as stable as Gram–Schmidt twice. Rows of zeros stay.
 */
export function orthonormal(block: Float64Array, n: number, passes: 1 | 2): Float64Array {
  const size = block.length / n;
  let rows = normalised(block, n);
  for (let pass = 0; pass < passes; pass++) {
    const gram = hostMatMul(rows, rows, { m: size, k: n, n: size, transposeB: true });
    // Nearly dependent rows may make it singular to working precision the first time.
    if (pass === 0) for (let i = 0; i < size; i++) gram[i * size + i] += 1e-13 * size;
    rows = triangularSolve(cholesky(gram, size), rows, size, n);
  }
  return rows;
}

function normalised(block: Float64Array, n: number): Float64Array {
  const out = new Float64Array(block.length);
  for (let from = 0; from < block.length; from += n) {
    let squares = 0;
    for (let j = from; j < from + n; j++) squares += block[j] ** 2;
    const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0;
    for (let j = from; j < from + n; j++) out[j] = block[j] * scale;
  }
  return out;
}

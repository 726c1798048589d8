import { RandomNumbers } from '../base/index.js';
import { cholesky } from '../engine/index.js';
import type { RowSource } from '../rows/index.js';

/**
 * As many rows from one Gaussian with this mean and covariance [dims, dims]: what a mixture gains on them is overfitting,
 * not structure. A row is a pure function of seed and row number.
 * @throws NotPositiveDefiniteError for a covariance without a Cholesky factor.
 */
export function gaussianSurrogate(
  source: Pick<RowSource, 'name' | 'rows'>,
  mean: Float64Array,
  covariance: Float64Array,
  seed: number,
): RowSource {
  const { name, rows } = source;
  const dims = mean.length;
  const factor = cholesky(covariance, dims);
  const random = new RandomNumbers(seed).for('surrogate');
  return {
    name,
    rows,
    width: dims,
    // eslint-disable-next-line @typescript-eslint/require-await -- nothing is waited for
    async *chunks({ chunkRows = 4096, start = 0, end = rows } = {}) {
      for (let at = start; at < end; at += chunkRows) {
        const count = Math.min(chunkRows, end - at);
        const data = new Float32Array(count * dims);
        for (let n = 0; n < count; n++) {
          const z = random.at(at + n).normals(dims);
          for (let i = 0; i < dims; i++) {
            let x = mean[i];
            for (let j = 0; j <= i; j++) x += factor[i * dims + j] * z[j];
            data[n * dims + i] = x;
          }
        }
        yield { start: at, rows: count, data };
      }
    },
  };
}

/** Shuffles every dimension independently: marginals stay, all dependence between dimensions is removed. [rows, dims]. */
export function permuteDimensions(data: Float32Array, rows: number, dims: number, seed: number): Float32Array {
  const out = new Float32Array(data.length);
  const random = new RandomNumbers(seed).for('permuted');
  for (let j = 0; j < dims; j++) {
    const order = random.at(j).permutation(rows);
    for (let n = 0; n < rows; n++) out[n * dims + j] = data[order[n] * dims + j];
  }
  return out;
}

import { setImmediate } from 'node:timers/promises';
import { linearAlgebra } from './choice.js';

/** Rows in single precision, row-major [rows, width]. */
export interface FloatRows {
  rows: number;
  width: number;
  data: Float32Array;
}

/** Numbers of a slab of columns in double precision: a copy of all of them need not fit into memory. */
const SLAB_NUMBERS = 1 << 22;

/**
 * (a − centre)(b − centre)ᵀ in float64, [a.rows, b.rows]: slab by slab of the columns, between which the event loop, and so
 * a signal, has its turn. For fewer rows than columns this is the small side of what `Xᵀ X` says.
 */
export async function rowProducts(a: FloatRows, b: FloatRows, centre: Float64Array): Promise<Float64Array> {
  const { width } = a;
  const step = Math.max(1, Math.floor(SLAB_NUMBERS / Math.max(a.rows, b.rows)));
  const out = new Float64Array(a.rows * b.rows);
  for (let first = 0; first < width; first += step) {
    const k = Math.min(step, width - first);
    const left = slab(a, centre, first, k);
    const right = a.data === b.data ? left : slab(b, centre, first, k);
    const part = linearAlgebra().matMul(left, right, { m: a.rows, k, n: b.rows, transposeB: true });
    for (let i = 0; i < out.length; i++) out[i] += part[i];
    await setImmediate();
  }
  return out;
}

function slab({ rows, width, data }: FloatRows, centre: Float64Array, first: number, columns: number): Float64Array {
  const out = new Float64Array(rows * columns);
  for (let i = 0, at = 0; i < rows; i++)
    for (let j = first; j < first + columns; j++, at++) out[at] = data[i * width + j] - centre[j];
  return out;
}

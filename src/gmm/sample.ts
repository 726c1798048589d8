import type { Workspace } from './workspace.js';

const SAMPLE = 1024;

/** Mean and variance of each dimension, [dims], of some rows from all over: an exact answer would cost a pass. */
export async function sampleMoments(ws: Workspace): Promise<{ mean: Float64Array; variance: Float64Array }> {
  const { dims } = ws.layout;
  const count = Math.min(ws.rows, SAMPLE);
  const rows = await ws.rowsAt(Array.from({ length: count }, (_, i) => Math.floor((i * ws.rows) / count)));
  const mean = new Float64Array(dims);
  const variance = new Float64Array(dims);
  for (let j = 0; j < dims; j++) {
    let sum = 0;
    let squares = 0;
    // About the first row, so that a common offset costs no digits.
    for (let i = 0; i < count; i++) {
      const x = rows[i * dims + j] - rows[j];
      sum += x;
      squares += x * x;
    }
    mean[j] = rows[j] + sum / count;
    variance[j] = Math.max(0, squares / count - (sum / count) ** 2);
  }
  return { mean, variance };
}

import type { Share } from '../distributed/index.js';

/**
 * Rows in memory that measures of pairs of rows are taken on. Each of several ranks has all of them: what takes time in
 * proportion to them alone, such as a mean, each computes for itself; what takes more is divided.
 */
export interface RowSample {
  rows: number;
  width: number;
  /** [rows, width], row-major */
  data: Float32Array;
}

export interface LabelledSample extends RowSample {
  /** One class per row, numbered from 0 without gaps. */
  labels: Int32Array;
  classes: number;
}

/** The rows of a share; all of them where that is the share. */
export function rowsOf(sample: RowSample, { start, end }: Share): RowSample {
  const { rows, width, data } = sample;
  if (end - start === rows) return sample;
  return { rows: end - start, width, data: data.subarray(start * width, end * width) };
}

/** Column means in double precision. */
export function columnMeans({ rows, width, data }: RowSample): Float64Array {
  const mean = new Float64Array(width);
  for (let i = 0, at = 0; i < rows; i++) for (let j = 0; j < width; j++, at++) mean[j] += data[at];
  return mean.map(value => value / rows);
}

/** Mean cosine of two different rows: 0 where directions spread evenly, towards 1 where all rows point the same way. */
export function meanCosine({ rows, width, data }: RowSample): number {
  const total = new Float64Array(width);
  let used = 0;
  for (let i = 0; i < rows; i++) {
    let square = 0;
    for (let j = 0; j < width; j++) square += data[i * width + j] ** 2;
    if (square === 0) continue;
    const scale = 1 / Math.sqrt(square);
    for (let j = 0; j < width; j++) total[j] += data[i * width + j] * scale;
    used++;
  }
  // ‖Σu‖² counts every ordered pair, and every row with itself.
  const norm = total.reduce((sum, value) => sum + value * value, 0);
  return used < 2 ? NaN : (norm - used) / (used * (used - 1));
}

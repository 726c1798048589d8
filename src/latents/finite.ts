import { UserError } from '../base/index.js';

/** The rows of a block that hold NaN or infinite numbers. */
export function nonFiniteRows(data: Float32Array, width: number): number[] {
  const rows: number[] = [];
  for (let row = 0; row * width < data.length; row++) if (!isFiniteRow(data, row, width)) rows.push(row);
  return rows;
}

function isFiniteRow(data: Float32Array, row: number, width: number): boolean {
  // A sum of products with zero is zero unless something in it is NaN or infinite.
  let sum = 0;
  for (let i = row * width; i < (row + 1) * width; i++) sum += data[i] * 0;
  return sum === 0;
}

export function nonFiniteError(name: string, bad: number[], rows: number): UserError {
  return new UserError(
    `${name}: ${bad.length} of ${rows} rows hold NaN or infinite numbers, the first is row ${bad[0]}; extract again, or leave them out with --drop-nonfinite`,
  );
}

/** For each row its `k` best others, best first, row-major [rows, k]; places that nothing has taken hold −Infinity. */
export interface Ranking {
  k: number;
  rows: Int32Array;
  /** The larger, the better. */
  values: Float32Array;
}

export const emptyRanking = (rows: number, k: number): Ranking => ({
  k,
  rows: new Int32Array(rows * k),
  values: new Float32Array(rows * k).fill(-Infinity),
});

/** Puts one found row where it belongs in a row's list, if its value is better than the last one's. */
export function insertInto({ k, rows, values }: Ranking, row: number, found: number, value: number): void {
  const first = row * k;
  let at = first + k - 1;
  if (!(value > values[at])) return;
  for (; at > first && values[at - 1] < value; at--) {
    values[at] = values[at - 1];
    rows[at] = rows[at - 1];
  }
  values[at] = value;
  rows[at] = found;
}

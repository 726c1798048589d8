/** The middle value; of an even number of values, the upper of the two in the middle. */
export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

type Cell = string | number | undefined;
export type Row = Record<string, Cell>;

/** Rows of one shape as CSV, whose first line names the columns; nothing for no rows. */
export const csvOf = (rows: Row[]): string =>
  rows.length === 0
    ? ''
    : [Object.keys(rows[0]), ...rows.map(row => Object.values(row))]
        .map(row => `${row.map(quoted).join(',')}\n`)
        .join('');

/** Quoted where it must be; numbers with five digits. */
export function quoted(cell: Cell): string {
  const text = String((typeof cell === 'number' ? Number(cell.toPrecision(5)) : cell) ?? '');
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

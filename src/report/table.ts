import { readFile } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { messageOf, unreadable, UserError } from '../base/index.js';

export type Value = number | string | null;
export type TableRow = Record<string, Value>;

/** Rows under named columns; a column is numeric where all its filled cells are. */
export interface Table {
  /** What the table is called where it has no `source` column: a file's or a run's name. */
  name: string;
  columns: string[];
  rows: TableRow[];
}

/** Reads a CSV file, called by its path. @throws UserError naming the file. */
export async function readTable(path: string): Promise<Table> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw unreadable(path, error);
  });
  return parseTable(text, path);
}

/** Reads CSV text with a header line. Empty cells and `nan` are null. @throws UserError naming the line. */
export function parseTable(text: string, name: string): Table {
  let cells: string[][];
  try {
    cells = parse(text, { skip_empty_lines: true, bom: true });
  } catch (error) {
    throw new UserError(`${name}: not a CSV table: ${messageOf(error)}`);
  }
  const [columns, ...lines] = cells;
  if (lines.length === 0) throw new UserError(`${name}: the table has no rows; was the command before it successful?`);
  const numeric = columns.map((_, j) => lines.every(line => isMissing(line[j]) || Number.isFinite(Number(line[j]))));
  const value = (cell: string, j: number): Value => (isMissing(cell) ? null : numeric[j] ? Number(cell) : cell);
  const rows = lines.map(line => Object.fromEntries(columns.map((column, j) => [column, value(line[j], j)])));
  return { name, columns, rows };
}

const isMissing = (cell: string): boolean => cell === '' || cell.toLowerCase() === 'nan';

/** Tables of the same kind under each other; rows of one without a `source` column get its name there. */
export function stack(tables: Table[]): Table {
  if (tables.length === 1) return tables[0];
  const columns = ['source', ...new Set(tables.flatMap(table => table.columns).filter(column => column !== 'source'))];
  const rows = tables.flatMap(({ name, rows }) => rows.map(row => ({ source: name, ...row })));
  return { name: tables.map(table => table.name).join(', '), columns, rows };
}

/** Is there a number in this column? */
export function isNumeric(table: Table, column: string): boolean {
  return table.rows.some(row => typeof row[column] === 'number');
}

/** The distinct values of a column, in order of appearance. */
export function distinct(table: Table, column: string): Value[] {
  return [...new Set(table.rows.map(row => row[column] ?? null))].filter(value => value !== null);
}

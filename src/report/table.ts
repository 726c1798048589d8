import { readFile } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { messageOf, unreadable, UserError } from '../base/index.js';

export type Value = number | string | null;
export type TableRow = Record<string, Value>;

/**
 * Rows under named columns. A column is numeric where all its filled cells are numbers, infinite (±Infinity) or missing
 * (NaN); an empty cell is null: nothing was measured.
 */
export interface Table {
  /** What the table is called if it has no `source` column: a file's or a run's name. */
  name: string;
  columns: string[];
  rows: TableRow[];
}

/** Reads a CSV file, which its path names. @throws UserError naming the file. */
export async function readTable(path: string): Promise<Table> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  return parseTable(bytes, path);
}

/**
 * Reads a CSV table with a header line, as maetok, pandas, R and spreadsheets write it: separated by commas, or by
 * semicolons (then 1,5 is a number) or tabs where the header has no comma. @throws UserError naming the line.
 */
export function parseTable(content: string | Uint8Array, name: string): Table {
  const text = typeof content === 'string' ? content : decoded(content);
  const separator = separatorOf(text);
  let cells: string[][];
  try {
    cells = parse(text, {
      bom: true,
      delimiter: separator,
      record_delimiter: ['\r\n', '\n', '\r'],
      skip_empty_lines: true,
      skip_records_with_empty_values: true,
      trim: true,
    });
  } catch (error) {
    throw new UserError(`${name}: not a CSV table: ${messageOf(error)}`);
  }
  if (cells.length < 2) throw new UserError(`${name}: the table has no rows; was the command before it successful?`);
  const [header, ...lines] = cells;
  // Row names, which pandas and R write in a column without a name.
  const columns = header.map(column => (column === '' ? 'index' : column));
  const twice = columns.find((column, j) => columns.indexOf(column) !== j);
  if (twice !== undefined) throw new UserError(`${name}: two columns are called '${twice}'; rename one of them`);
  const decimal = (cell: string): string => (separator === ';' ? cell.replace(/^([+-]?\d*),(\d+)/, '$1.$2') : cell);
  const read = columns.map((_, j) => readColumn(lines.map(line => decimal(line[j]))));
  return {
    name,
    columns,
    rows: lines.map((_, i) => Object.fromEntries(columns.map((column, j) => [column, read[j][i]]))),
  };
}

/** Spreadsheets also write UTF-16. */
const decoded = (bytes: Uint8Array): string =>
  Buffer.from(bytes).toString(bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf16le' : 'utf8');

function separatorOf(text: string): string {
  const header = (/^\s*(.*)$/m.exec(text)?.[1] ?? '').replace(/"[^"]*"/g, '');
  return [',', ';', '\t'].find(separator => header.includes(separator)) ?? ',';
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
/** Whether this is an identifier such as 007, whose zeros are part of it. */
const PADDED = /^0\d+$/;
const INFINITE = /^([+-]?)inf(inity)?$/i;
/** What pandas reads as missing, and what spreadsheets show for a failed formula. `none` is one of our own words. */
const MISSING = new Set(
  ['', 'nan', 'NaN', 'NAN', '-nan', '-NaN', 'NA', 'N/A', 'n/a', '<NA>', 'null', 'NULL', 'None', '#N/A', '#NA'].concat([
    '#N/A N/A',
    '#NUM!',
    '#DIV/0!',
    '#VALUE!',
    '1.#IND',
    '-1.#IND',
    '1.#QNAN',
    '-1.#QNAN',
    '1.#INF',
    '-nan(ind)',
  ]),
);

/** The number in a cell: NaN if it is missing, undefined if the cell holds something else. */
function numberIn(cell: string): number | undefined {
  if (MISSING.has(cell)) return NaN;
  const infinite = INFINITE.exec(cell);
  if (infinite) return infinite[1] === '-' ? -Infinity : Infinity;
  return NUMBER.test(cell) ? Number(cell) : undefined;
}

function readColumn(cells: readonly string[]): Value[] {
  const numbers = cells.map(numberIn);
  if (numbers.every(value => value !== undefined) && !cells.some(cell => PADDED.test(cell)))
    return numbers.map((value, i) => (cells[i] === '' ? null : value));
  // As pandas and R write booleans.
  const logical = cells.every(cell => MISSING.has(cell) || /^(true|false)$/i.test(cell));
  return cells.map(cell => (cell === '' || /^-?nan$/i.test(cell) ? null : logical ? cell.toLowerCase() : cell));
}

/** Determines the columns' types again after rows were added or removed: what remains may be numeric. */
function reread({ columns, rows, ...table }: Table): Table {
  const words = columns.filter(column => rows.some(row => typeof row[column] === 'string'));
  const read = words.map(column => readColumn(rows.map(row => String(row[column] ?? ''))));
  const again = (i: number): TableRow => Object.fromEntries(words.map((column, j) => [column, read[j][i]]));
  return { ...table, columns, rows: rows.map((row, i) => ({ ...row, ...again(i) })) };
}

/**
 * Concatenates tables of the same kind; rows of a table without a `source` column get its name there, those of a lone
 * table if its name is a known source.
 */
export function stack(tables: Table[], known: string[] = []): Table {
  if (tables.length === 1 && !known.includes(tables[0].name)) return tables[0];
  const columns = ['source', ...new Set(tables.flatMap(table => table.columns).filter(column => column !== 'source'))];
  const empty = Object.fromEntries(columns.map(column => [column, null]));
  const rows = tables.flatMap(({ name, rows }) => rows.map(row => ({ ...empty, source: name, ...row })));
  return reread({ name: tables.map(table => table.name).join(', '), columns, rows });
}

/**
 * The rows whose columns have the values given by `metric=fid,value=inf`, compared as parsed: 1e3 is 1000.
 * @throws UserError where it names no column, or no row is left.
 */
export function filter(table: Table, conditions: string): Table {
  const names = [...table.columns].sort((a, b) => b.length - a.length).map(escaped);
  const found = [...conditions.matchAll(new RegExp(`(?:^|,)\\s*(${names.join('|')})\\s*=`, 'g'))];
  if (found.at(0)?.index !== 0)
    throw new UserError(`--where ${conditions}: write column=value with one of ${table.columns.join(', ')}`);
  const wanted = found.map(({ index, 0: start, 1: column }, i) => {
    const value = conditions.slice(index + start.length, found.at(i + 1)?.index).trim();
    return { column, value, number: numberIn(value) };
  });
  const rows = table.rows.filter(row => wanted.every(one => isAlike(row[one.column] ?? null, one)));
  if (rows.length === 0) throw new UserError(`--where ${conditions}: no row of ${table.name} matches`);
  return reread({ ...table, rows });
}

/** The columns of a table that `folded` made: which measure a row is of, and its value. */
export const FOLDED = { measure: 'measure', value: 'measured' } as const;

/**
 * Each row once per column, with the column's name, its value and, where the table has them, the ends of its interval in
 * columns of their own: one panel per measure instead of one table per measure.
 * @throws UserError where there is no such column.
 */
export function folded(table: Table, columns: readonly string[]): Table {
  const absent = columns.find(column => !table.columns.includes(column));
  if (absent !== undefined)
    throw new UserError(`${table.name}: no column '${absent}'; there are ${table.columns.join(', ')}`);
  const { measure, value } = FOLDED;
  const ends = ['_low', '_high'];
  const rows = columns.flatMap(column =>
    table.rows.map(row => ({
      ...row,
      [measure]: column,
      [value]: row[column],
      ...Object.fromEntries(ends.map(end => [`${value}${end}`, row[`${column}${end}`] ?? null])),
    })),
  );
  const own = [measure, value, ...ends.map(end => `${value}${end}`)];
  return { ...table, columns: [...table.columns.filter(column => !own.includes(column)), ...own], rows };
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

function isAlike(cell: Value, wanted: { value: string; number: number | undefined }): boolean {
  if (cell === null) return wanted.value === '';
  if (typeof cell === 'number') return Object.is(cell, wanted.number) || cell === wanted.number;
  return cell === wanted.value || (/^(true|false)$/.test(cell) && cell === wanted.value.toLowerCase());
}

/** Whether there is a number in this column. */
export function isNumeric(table: Table, column: string): boolean {
  return table.rows.some(row => Number.isFinite(row[column]));
}

/** The first cell of a column that is not a number. */
export const wordIn = (table: Table, column: string): string | undefined =>
  table.rows.map(row => row[column]).find(value => typeof value === 'string' && numberIn(value) === undefined) as
    string | undefined;

/** The distinct values of a column, in order of appearance. */
export function distinct(table: Table, column: string): Value[] {
  return [...new Set(table.rows.map(row => row[column] ?? null))].filter(
    value => value !== null && !Number.isNaN(value),
  );
}

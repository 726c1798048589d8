import { choose, type ChartChoice } from './choice.js';
import { shown } from './number.js';
import { distinct, isNumeric, type Table, type TableRow, type Value } from './table.js';
import { titleOf } from './theme.js';

/** Series that are described one by one; of more the text gives the number only. */
const DESCRIBED = 12;

/** What a chart shows, in words: its text alternative, made from its rows. */
export function describeChart(table: Table, choice: ChartChoice = {}): string {
  const chosen = choose(table, choice);
  const { kind, x, y, color, facet, rows: panels } = chosen;
  const [across, along] = [titleOf(x), titleOf(y)];
  const groups = grouped(table, [panels, facet, kind === 'bar' ? undefined : color, chosen.dash], [x, y]);
  const series = groups.map(({ name, rows }) => ({ name, text: TEXTS[kind](rows, x, y) }));
  const said = series.slice(0, DESCRIBED).map(({ name, text }) => (name === '' ? text : `${name} ${text}`));
  const more = series.length > DESCRIBED ? `; and ${series.length - DESCRIBED} more series` : '';
  return `${NAMES[kind]} of ${along} ${kind === 'line' || kind === 'bar' ? 'by' : 'against'} ${across}: ${said.join('; ')}${more}.`;
}

const NAMES = { line: 'Line chart', bar: 'Bar chart', scatter: 'Scatter plot', points: 'Chart' };

/** Rows with both coordinates, by the values of the columns that distinguish series. */
function grouped(table: Table, columns: (string | undefined)[], axes: string[]): { name: string; rows: TableRow[] }[] {
  const by = [...new Set(columns)].filter(
    column => column !== undefined && distinct(table, column).length > 1,
  ) as string[];
  // A single series still has a name, if a column says it.
  const keys = by.length > 0 ? by : [...new Set(columns)].filter(column => column !== undefined).slice(0, 1);
  const groups = new Map<string, TableRow[]>();
  for (const row of table.rows) {
    if (!axes.every(axis => isPlaced(row[axis]))) continue;
    const name = keys.map(key => shown(row[key])).join(', ');
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  return [...groups].map(([name, rows]) => ({ name, rows }));
}

const isPlaced = (value: Value | undefined): boolean =>
  typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value));

type Text = (rows: TableRow[], x: string, y: string) => string;

const TEXTS: Record<keyof typeof NAMES, Text> = {
  line(rows, x, y) {
    const along = isNumeric({ name: '', columns: [x], rows }, x)
      ? [...rows].sort((a, b) => Number(a[x]) - Number(b[x]))
      : rows;
    const [first, last] = [along[0], along[along.length - 1]];
    if (along.length === 1) return `is ${shown(first[y])} at ${shown(first[x])}`;
    const [from, to] = [Number(first[y]), Number(last[y])];
    const ends = `from ${shown(from)} at ${shown(first[x])} to ${shown(to)} at ${shown(last[x])}`;
    const lowest = along.reduce((a, b) => (Number(b[y]) < Number(a[y]) ? b : a));
    const highest = along.reduce((a, b) => (Number(b[y]) > Number(a[y]) ? b : a));
    const turns = [
      ...(lowest !== first && lowest !== last ? [`lowest ${shown(lowest[y])} at ${shown(lowest[x])}`] : []),
      ...(highest !== first && highest !== last ? [`highest ${shown(highest[y])} at ${shown(highest[x])}`] : []),
    ];
    const trend = from === to ? 'goes' : to < from ? 'falls' : 'rises';
    return [`${trend} ${ends}`, ...turns].join(', ');
  },
  bar: (rows, x, y) => rows.map(row => `${shown(row[x])} ${shown(row[y])}${interval(row, y)}`).join(', '),
  scatter: rows => `has ${rows.length} points`,
  points: (rows, x, y) =>
    rows.map(row => `has ${shown(row[y])}${interval(row, y)} at ${shown(row[x])}${interval(row, x)}`).join(', '),
};

const interval = (row: TableRow, column: string): string =>
  typeof row[`${column}_low`] === 'number' && typeof row[`${column}_high`] === 'number'
    ? ` (${shown(row[`${column}_low`])} to ${shown(row[`${column}_high`])})`
    : '';

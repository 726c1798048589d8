import { choose, type ChartChoice } from './choice.js';
import { distinct, filter, type Table } from './table.js';

/** What one wants to see first of what a training measures at each evaluation. */
const USUAL = [
  ['split', 'heldout'],
  ['weights', 'ema'],
] as const;

/**
 * The rows of a loss by timestep that belong to one curve each where the choice leaves open which are meant: held-out
 * rows, averaged weights and, unless steps are told apart or along the x axis, the last step of each source.
 * `kept` says what was selected; it is empty for other tables.
 */
export function usualLosses(table: Table, choice: ChartChoice): { table: Table; kept: string[] } {
  if (!['bin', 't', 'loss'].every(column => table.columns.includes(column))) return { table, kept: [] };
  const kept: string[] = [];
  let rows = table;
  const keep = (column: string, value: string): void => {
    const values = distinct(rows, column);
    if (values.length < 2 || !values.includes(value) || columnsOf(choice).includes(column)) return;
    rows = filter(rows, `${column}=${value}`);
    kept.push(`${column}=${value}`);
  };
  for (const [column, value] of USUAL) keep(column, value);
  const chosen = choose(rows, choice);
  if (chosen.x === 'step') keep('bin', 'all');
  else if (distinct(rows, 'step').length > 1 && !columnsOf(chosen).includes('step')) {
    rows = lastSteps(rows);
    kept.push(`step=${distinct(rows, 'step').join(' and ')} (the last)`);
  }
  return { table: rows, kept };
}

const columnsOf = ({ x, y, color, facet, rows, dash }: ChartChoice): (string | undefined)[] => [
  x,
  y,
  color,
  facet,
  rows,
  dash,
];

/** The rows of the last step of each source. */
function lastSteps(table: Table): Table {
  const last = new Map<unknown, number>();
  for (const { source, step } of table.rows) last.set(source, Math.max(last.get(source) ?? -Infinity, Number(step)));
  return { ...table, rows: table.rows.filter(({ source, step }) => Number(step) === last.get(source)) };
}

import { UserError } from '../base/index.js';
import type { ChartKind } from './names.js';
import { distinct, isNumeric, type Table } from './table.js';

/* What to draw of a table: the words of a choice, and each known table's usual chart. */

/** What to draw; whatever is left out is inferred from the table's columns. */
export interface ChartChoice {
  kind?: ChartKind | undefined;
  x?: string | undefined;
  y?: string | undefined;
  /** Column that distinguishes series by colour. */
  color?: string | undefined;
  /** Column whose values each get a panel. */
  facet?: string | undefined;
  /** Column whose values each get a row of panels with its own axes. */
  rows?: string | undefined;
  /** Column that distinguishes series of one colour by dashes. */
  dash?: string | undefined;
  /** Whether each panel has an x axis of its own. */
  freeX?: boolean | undefined;
  /** Latent spaces whose order fixes the colours, those included that are not in this table. */
  sources?: string[] | undefined;
  logX?: boolean | undefined;
  logY?: boolean | undefined;
  title?: string | undefined;
  subtitle?: string | undefined;
  width?: number | undefined;
  height?: number | undefined;
}

/** The options that were given. */
type Typed = { [option in keyof ChartChoice]: NonNullable<ChartChoice[option]> };
/** A choice whose chart is known. */
export type Chosen = ChartChoice & { kind: ChartKind; x: string; y: string };

/** A table that some command writes, and its usual chart. The first rule whose columns are all present applies. */
interface Rule {
  needs: string[];
  /** `x` is the x axis that was asked for. */
  chart: (table: Table, x: string | undefined) => Chosen;
}

/** Whether the table has this column. */
export const has = (table: Table, column: string): boolean => table.columns.includes(column);
/** The first of these columns that the table has. */
const first = (table: Table, ...columns: string[]): string | undefined => columns.find(column => has(table, column));
/** The column, if any of its cells is filled. */
const filled = (table: Table, column: string): string | undefined =>
  has(table, column) && distinct(table, column).length > 0 ? column : undefined;
/** The column, if it distinguishes at least two groups. */
const varied = (table: Table, column: string): string | undefined =>
  has(table, column) && distinct(table, column).length > 1 ? column : undefined;

const RULES: Rule[] = [
  {
    needs: ['x', 'y', 'source'],
    chart: table => ({
      kind: 'scatter',
      x: 'x',
      y: 'y',
      color: filled(table, 'class') ?? filled(table, 'label'),
      facet: 'source',
      rows: varied(table, 'method'),
    }),
  },
  {
    needs: ['t', 'loss'],
    chart: (table, x) => {
      const components = varied(table, 'components');
      const step = x === 'step' ? undefined : varied(table, 'step');
      return {
        kind: 'line',
        x: first(table, 'log_snr') ?? 't',
        y: requireOne(table, 'loss_per_dim', 'loss'),
        color: components ?? varied(table, 'source') ?? step,
        facet: components && varied(table, 'source'),
      };
    },
  },
  {
    needs: ['components'],
    chart: table => {
      const [dash, facet] = ['control', 'algorithm', 'covariance'].filter(column => varied(table, column));
      const y = requireOne(table, 'nll_heldout', 'nll_test', 'nll');
      return { kind: 'line', x: 'components', y, color: 'source', dash, facet };
    },
  },
  {
    needs: ['step'],
    chart: table => ({
      kind: 'line',
      x: 'step',
      y: requireOne(table, 'loss', 'psnr', 'value'),
      color: varied(table, 'source'),
      dash: varied(table, 'split') ?? varied(table, 'weights'),
    }),
  },
  {
    needs: ['probe'],
    chart: table => ({
      kind: 'bar',
      x: 'source',
      y: requireOne(table, 'accuracy', 'top1'),
      color: 'source',
      facet: varied(table, 'probe'),
      rows: varied(table, 'feature') ?? varied(table, 'control'),
    }),
  },
  {
    needs: ['latent_noise'],
    chart: table => ({
      kind: 'line',
      x: 'latent_noise',
      y: 'value',
      color: 'source',
      rows: varied(table, 'metric'),
    }),
  },
  {
    needs: ['guidance'],
    chart: table => ({
      kind: 'line',
      x: 'guidance',
      y: requireOne(table, 'fid', 'fd', 'value'),
      color: varied(table, 'source'),
      dash: varied(table, 'interval'),
      facet: varied(table, 'samples'),
    }),
  },
];

function requireOne(table: Table, ...columns: string[]): string {
  const found = columns.find(column => has(table, column) && isNumeric(table, column));
  if (found === undefined) throw new UserError(`${table.name}: none of the columns ${columns.join(', ')} has numbers`);
  return found;
}

/** What is drawn where the choice leaves it open. @throws UserError where no rule fits the table. */
export function choose(table: Table, choice: ChartChoice): Chosen {
  const typed = Object.fromEntries(Object.entries(choice).filter(([, value]) => value !== undefined)) as Typed;
  const { x, y } = typed;
  if (x !== undefined && y !== undefined) return { kind: isNumeric(table, x) ? 'line' : 'bar', ...typed, x, y };
  const rule = RULES.find(({ needs }) => needs.every(column => filled(table, column)));
  if (!rule)
    throw new UserError(
      `${table.name}: it is not clear what to draw; name the axes with --x and --y (columns: ${table.columns.join(', ')})`,
    );
  const chosen = { ...rule.chart(table, x), ...typed };
  // A lone latent space keeps the colour that it has among the others of its study.
  const isKnown = typed.sources?.includes(String(table.rows.at(0)?.source)) ?? false;
  return chosen.color === undefined && isKnown && !varied(table, 'source') ? { ...chosen, color: 'source' } : chosen;
}

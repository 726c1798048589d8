import type { TopLevelSpec } from 'vega-lite';
import { RandomNumbers, UserError } from '../base/index.js';
import type { ChartKind } from './names.js';
import { distinct, isNumeric, wordIn, type Table, type TableRow, type Value } from './table.js';
import { PALETTE, THEME, titleOf } from './theme.js';

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
  logX?: boolean | undefined;
  logY?: boolean | undefined;
  title?: string | undefined;
  subtitle?: string | undefined;
  width?: number | undefined;
  height?: number | undefined;
}

/** The options that were given. */
type Typed = { [option in keyof ChartChoice]: NonNullable<ChartChoice[option]> };
type Chosen = ChartChoice & { kind: ChartKind; x: string; y: string };

/** A table that some command writes, and its usual chart. The first rule whose columns are all present applies. */
interface Rule {
  needs: string[];
  chart: (table: Table) => Chosen;
}

const has = (table: Table, column: string): boolean => table.columns.includes(column);
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
    chart: table => {
      const components = varied(table, 'components');
      return {
        kind: 'line',
        x: first(table, 'log_snr') ?? 't',
        y: requireOne(table, 'loss_per_dim', 'loss'),
        color: components ?? varied(table, 'source') ?? varied(table, 'step'),
        facet: components && varied(table, 'source'),
        dash: varied(table, 'weights'),
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

/** A Vega-Lite chart of the table: by the table's rule, overridden by `choice`. */
export function chartOf(table: Table, choice: ChartChoice = {}): TopLevelSpec {
  const chosen = choose(table, choice);
  requireColumns(table, chosen);
  return specOf(table, chosen);
}

function requireColumns(table: Table, chosen: Chosen): void {
  for (const column of [chosen.x, chosen.y, chosen.color, chosen.facet, chosen.rows, chosen.dash]) {
    if (column !== undefined && !has(table, column))
      throw new UserError(`${table.name}: no column '${column}'; there are ${table.columns.join(', ')}`);
  }
  if (isNumeric(table, chosen.y)) return;
  const word = wordIn(table, chosen.y);
  throw new UserError(
    `${table.name}: column '${chosen.y}' holds ${word === undefined ? 'no finite numbers' : `no numbers ('${word}')`}, so it cannot be the y axis`,
  );
}

/** Describes what the chart leaves out: points without a finite number, or without a positive one on a logarithmic axis. */
export function leftOut(table: Table, choice: ChartChoice = {}): string | undefined {
  const chosen = choose(table, choice);
  const axes = [chosen.x, chosen.y].filter(column => isNumeric(table, column));
  const measured = table.rows.filter(row => axes.every(column => row[column] !== null));
  const missing = measured.filter(row => !axes.every(column => hasPlace(row, column, chosen)));
  if (missing.length === 0) return undefined;
  const values = axes.flatMap(column => missing.filter(row => !hasPlace(row, column, chosen)).map(row => row[column]));
  const what = [...new Set(values.map(String))].slice(0, 3).join(', ');
  return `${missing.length} of ${measured.length} points are not drawn: ${axes.join(' or ')} is ${what} there`;
}

function choose(table: Table, choice: ChartChoice): Chosen {
  const typed = Object.fromEntries(Object.entries(choice).filter(([, value]) => value !== undefined)) as Typed;
  const { x, y } = typed;
  if (x !== undefined && y !== undefined) return { kind: isNumeric(table, x) ? 'line' : 'bar', ...typed, x, y };
  const rule = RULES.find(({ needs }) => needs.every(column => filled(table, column)));
  if (!rule)
    throw new UserError(
      `${table.name}: it is not clear what to draw; name the axes with --x and --y (columns: ${table.columns.join(', ')})`,
    );
  return { ...rule.chart(table), ...typed };
}

function specOf(table: Table, chosen: Chosen): TopLevelSpec {
  const { rows, title, subtitle } = chosen;
  const body =
    rows === undefined
      ? panels(table, chosen)
      : {
          vconcat: distinct(table, rows).map(value => ({
            title: { text: String(value), anchor: 'start', fontSize: 12 },
            ...panels({ ...table, rows: table.rows.filter(row => row[rows] === value) }, chosen),
          })),
        };
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    config: THEME,
    ...(title === undefined ? {} : { title: { text: title, subtitle } }),
    ...body,
  } as TopLevelSpec;
}

function panels(table: Table, chosen: Chosen): object {
  const { kind, facet, width, height } = chosen;
  const count = facet === undefined ? 1 : distinct(table, facet).length;
  const size = { width: width ?? (count > 1 ? 260 : 460), height: height ?? 300 };
  // Equal distances should look equal along both axes.
  if (kind === 'scatter' && width === undefined && height === undefined)
    size.width = size.height = count > 1 ? 260 : 400;
  const unit = { layer: LAYERS[kind](table, chosen, size), ...size };
  return {
    data: { values: drawable(table, chosen) },
    ...(facet === undefined
      ? unit
      : {
          facet: { field: field(facet), type: 'nominal', title: null, sort: distinct(table, facet) },
          columns: Math.min(count, 4),
          spec: unit,
        }),
  };
}

/** Whether the row can be placed along this axis. Logarithmic axes hold positive numbers only. */
function hasPlace(row: TableRow, column: string, { x, y, logX, logY }: Chosen): boolean {
  const value = row[column];
  if (typeof value !== 'number') return typeof value === 'string';
  const isLogarithmic = (column === x && logX) || (column === y && logY);
  return Number.isFinite(value) && !(isLogarithmic && value <= 0);
}

/** Rows that have both coordinates. A row without y breaks its line there, and its bar is absent. */
function drawable(table: Table, chosen: Chosen): Record<string, Value>[] {
  const { kind, x, y } = chosen;
  const placed = table.rows.filter(row => hasPlace(row, x, chosen) && row[y] !== null);
  const isWhole = (row: TableRow): boolean => typeof row[y] === 'number' && hasPlace(row, y, chosen);
  if (!placed.some(isWhole)) throw new UserError(`${table.name}: no row has numbers to draw in both '${x}' and '${y}'`);
  const rows = (kind === 'scatter' ? placed.filter(isWhole) : placed).map(row =>
    fielded(row, isWhole(row) ? {} : { [y]: null }),
  );
  // Points drawn class by class would hide all classes but the last.
  return kind === 'scatter' ? Array.from(new RandomNumbers(0).permutation(rows.length), at => rows[at]) : rows;
}

/** The row under Vega's names, without values that are not finite. */
const fielded = (row: TableRow, changed: TableRow): TableRow =>
  Object.fromEntries(
    Object.entries({ ...row, ...changed }).map(([column, value]) => [
      field(column),
      typeof value === 'number' && !Number.isFinite(value) ? null : value,
    ]),
  );

/** A column name that is safe in Vega, where `k's`, `a.b` and `x[0]` would be expressions and paths. */
const field = (column: string): string =>
  /^[a-z]\w*$/i.test(column) ? column : `column_${Buffer.from(column).toString('hex')}`;

type Encoding = Record<string, unknown>;

function axes(table: Table, { x, y, logX, logY, color, dash }: Chosen): Encoding {
  const numericX = isNumeric(table, x);
  return {
    x: {
      field: field(x),
      title: titleOf(x),
      type: numericX ? 'quantitative' : 'nominal',
      ...(numericX
        ? {
            scale: { type: logX ? 'log' : 'linear', zero: false, nice: !logX },
            ...(table.rows.every(row => Number.isInteger(Number(row[x]))) && { axis: { tickMinStep: 1 } }),
          }
        : { sort: distinct(table, x), axis: { labelAngle: -30 } }),
    },
    y: {
      field: field(y),
      title: titleOf(y),
      type: 'quantitative',
      scale: { type: logY ? 'log' : 'linear', zero: false },
    },
    ...(color === undefined
      ? {}
      : {
          color: {
            field: field(color),
            type: 'nominal',
            title: titleOf(color),
            ...palette(table, color),
          },
        }),
    ...(dash === undefined
      ? {}
      : { strokeDash: { field: field(dash), type: 'nominal', title: titleOf(dash), sort: distinct(table, dash) } }),
  };
}

/** Colours of a column's values: the theme's where they suffice, a larger palette for up to twenty, a colour wheel without a legend beyond that. */
function palette(table: Table, color: string): Encoding {
  const values = distinct(table, color);
  const sort = isNumeric(table, color) ? values.map(Number).sort((a, b) => a - b) : values;
  const legend = { symbolOpacity: 1, symbolSize: 60 };
  if (values.length <= PALETTE.length) return { sort, legend };
  if (values.length <= 20) return { sort, legend, scale: { scheme: 'tableau20' } };
  return { sort, legend: null, scale: { range: values.map((_, i) => `hsl(${(360 * i) / values.length}, 65%, 50%)`) } };
}

/** Columns of an interval around `column`, where the table has one. */
function interval(table: Table, column: string): [string, string] | undefined {
  const [low, high] = [`${column}_low`, `${column}_high`];
  return isNumeric(table, low) && isNumeric(table, high) ? [low, high] : undefined;
}

interface Size {
  width: number;
  height: number;
}

const LAYERS: Record<ChartKind, (table: Table, chosen: Chosen, size: Size) => unknown[]> = {
  line(table, chosen) {
    const encoding = axes(table, chosen);
    // Areas and points have no dashes, but areas are grouped like the lines.
    const solid = axes(table, { ...chosen, dash: undefined });
    const band = interval(table, chosen.y);
    const points = new Set(table.rows.map(row => row[chosen.x])).size;
    return [
      ...(band
        ? [
            {
              mark: { type: 'area', opacity: 0.13 },
              encoding: {
                ...solid,
                y: { ...(encoding.y as Encoding), field: field(band[0]) },
                y2: { field: field(band[1]) },
                ...(chosen.dash !== undefined && { detail: { field: field(chosen.dash) } }),
              },
            },
          ]
        : []),
      { mark: 'line', encoding },
      // Points show where something was measured; on a dense curve they would only hide it.
      ...(points > 40 ? [] : [{ mark: { type: 'point', size: 45 }, encoding: { ...solid, ...convergence(table) } }]),
    ];
  },
  bar(table, chosen) {
    const encoding = axes(table, chosen);
    const range = interval(table, chosen.y);
    // Several measurements of one thing are not parts of a sum, so bars are not stacked.
    const y = { ...(encoding.y as Encoding), scale: { zero: true }, stack: null };
    return [
      { mark: { type: 'bar', opacity: 0.9 }, encoding: { ...encoding, y } },
      ...(range
        ? [
            {
              mark: { type: 'rule', strokeWidth: 1.5 },
              encoding: { x: encoding.x, y: { ...y, field: field(range[0]) }, y2: { field: field(range[1]) } },
            },
          ]
        : []),
    ];
  },
  scatter(table, chosen, { width, height }) {
    const panels = chosen.facet === undefined ? 1 : distinct(table, chosen.facet).length;
    // The denser the panel, the smaller and fainter the marks: a quarter of it is covered at most.
    const share = (0.25 * width * height * panels) / table.rows.length;
    const mark = { size: Math.min(30, Math.max(1.5, share)), opacity: Math.min(0.8, 0.35 + 0.05 * share) };
    return [{ mark: { type: 'point', filled: true, strokeWidth: 0, ...mark }, encoding: axes(table, chosen) }];
  },
};

/** A fit that stopped before it converged is marked with a cross. */
function convergence(table: Table): Encoding {
  if (!table.columns.includes('converged')) return {};
  if (!distinct(table, 'converged').some(value => String(value) === 'false')) return {};
  return {
    shape: {
      field: 'converged',
      type: 'nominal',
      title: 'converged',
      scale: { domain: ['true', 'false'], range: ['circle', 'cross'] },
    },
  };
}

import { scheme } from 'vega';
import type { TopLevelSpec } from 'vega-lite';
import { RandomNumbers, UserError } from '../base/index.js';
import { choose, has, type ChartChoice, type Chosen } from './choice.js';
import type { ChartKind } from './names.js';
import { distinct, isNumeric, wordIn, type Table, type TableRow, type Value } from './table.js';
import { DASHES, PALETTE, SHAPES, THEME, titleOf } from './theme.js';

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

function specOf(table: Table, chosen: Chosen): TopLevelSpec {
  const { x, rows, title, subtitle } = chosen;
  // What has no place along the axis, as a slope has none among levels, gets no panel either.
  const placed = { ...table, rows: table.rows.filter(row => row[x] !== null) };
  const body =
    rows === undefined
      ? panels(table, chosen)
      : {
          vconcat: distinct(placed, rows).map(value => ({
            title: { text: String(value), anchor: 'start', fontSize: 12 },
            ...panels({ ...table, rows: placed.rows.filter(row => row[rows] === value) }, chosen),
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
  const { kind, facet, width, height, freeX = false } = chosen;
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
          ...(freeX && { resolve: { scale: { x: 'independent' } } }),
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
export const field = (column: string): string =>
  /^[a-z]\w*$/i.test(column) ? column : `column_${Buffer.from(column).toString('hex')}`;

type Encoding = Record<string, unknown>;

function axes(table: Table, { x, y, logX, logY, color, dash, sources }: Chosen): Encoding {
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
            ...palette(colourValues(table, color, sources), distinct(table, color)),
          },
        }),
    ...(dash === undefined
      ? {}
      : {
          strokeDash: {
            field: field(dash),
            type: 'nominal',
            title: titleOf(dash),
            // The same legend as the colour's, so that the two are one.
            ...(dash === color ? dashes(table, dash, sources) : { sort: distinct(table, dash) }),
          },
        }),
  };
}

/** Values that get a colour each, in the order of the colours. */
export function colourValues(table: Table, color: string, sources: string[] = []): Value[] {
  const values = distinct(table, color);
  if (isNumeric(table, color)) return values.map(Number).sort((a, b) => a - b);
  if (color !== 'source') return values;
  return [...new Set([...sources, ...values])];
}

/** Values that a legend names at most. */
export const NAMED = 20;

/** That many colours: the theme's where they suffice, a larger palette for up to twenty, a colour wheel beyond that. */
export function colours(count: number): string[] {
  if (count <= PALETTE.length) return PALETTE.slice(0, count);
  if (count <= NAMED) return (scheme('tableau20') as string[]).slice(0, count);
  return Array.from({ length: count }, (_, i) => `hsl(${(360 * i) / count}, 65%, 50%)`);
}

/** Colours of values, and a legend of those that are shown. */
function palette(domain: Value[], shown: Value[]): Encoding {
  const legend = { symbolOpacity: 1, symbolSize: 60, values: domain.filter(value => shown.includes(value)) };
  return {
    legend: domain.length > NAMED ? null : legend,
    scale: { domain, range: colours(domain.length) },
  };
}

function dashes(table: Table, color: string, sources?: string[]): Encoding {
  const domain = colourValues(table, color, sources);
  const { legend } = palette(domain, distinct(table, color));
  if (domain.length > DASHES.length) return { legend, scale: { domain } };
  return { legend, scale: { domain, range: DASHES.slice(0, domain.length) } };
}

/** The colours' series by shape as well, for readers who do not see colours, where the shapes suffice. */
function shapes(table: Table, { color, sources }: Chosen): Encoding {
  if (color === undefined) return {};
  const domain = colourValues(table, color, sources);
  if (domain.length > SHAPES.length) return {};
  const { legend } = palette(domain, distinct(table, color));
  const scale = { domain, range: SHAPES.slice(0, domain.length) };
  return { shape: { field: field(color), type: 'nominal', title: titleOf(color), scale, legend } };
}

/** Columns of an interval around `column`, where the table has one. */
function interval(table: Table, column: string): [string, string] | undefined {
  const [low, high] = [`${column}_low`, `${column}_high`];
  return isNumeric(table, low) && isNumeric(table, high) ? [low, high] : undefined;
}

/** Different x values from which a curve is drawn without points. */
const DENSE = 40;

interface Size {
  width: number;
  height: number;
}

const LAYERS: Record<ChartKind, (table: Table, chosen: Chosen, size: Size) => unknown[]> = {
  line(table, chosen) {
    const points = new Set(table.rows.map(row => row[chosen.x])).size;
    // Points show where something was measured; on a dense curve they would only hide it.
    const isDense = points > DENSE;
    const marked = convergence(table);
    // What no shape distinguishes, dashes do.
    const dash = chosen.dash ?? (isDense || marked !== undefined ? chosen.color : undefined);
    const encoding = axes(table, { ...chosen, dash });
    // Areas and points have no dashes, but areas are grouped like the lines.
    const solid = axes(table, { ...chosen, dash: undefined });
    const band = interval(table, chosen.y);
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
      ...(isDense
        ? []
        : [{ mark: { type: 'point', size: 45 }, encoding: { ...solid, ...(marked ?? shapes(table, chosen)) } }]),
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
    const encoding = { ...axes(table, chosen), ...shapes(table, chosen) };
    // A label for each of thousands of points would be most of the file, and of no use to those who have it read out.
    return [{ mark: { type: 'point', filled: true, strokeWidth: 0, aria: false, ...mark }, encoding }];
  },
  points(table, chosen) {
    const encoding = axes(table, chosen);
    const [across, along] = [interval(table, chosen.x), interval(table, chosen.y)];
    const rule = { type: 'rule', strokeWidth: 1.5, opacity: 0.7 };
    const bar = (axis: 'x' | 'y', [low, high]: [string, string]) => ({
      mark: rule,
      encoding: {
        ...encoding,
        [axis]: { ...(encoding[axis] as Encoding), field: field(low) },
        [`${axis}2`]: { field: field(high) },
      },
    });
    const { color } = chosen;
    return [
      ...(across ? [bar('x', across)] : []),
      ...(along ? [bar('y', along)] : []),
      { mark: { type: 'point', size: 110, opacity: 1 }, encoding: { ...encoding, ...shapes(table, chosen) } },
      // The name stands at its point: a legend would have to be looked up.
      ...(color === undefined
        ? []
        : [
            {
              mark: { type: 'text', align: 'left', baseline: 'bottom', dx: 8, dy: -4, fontSize: 12 },
              encoding: { x: encoding.x, y: encoding.y, text: { field: field(color) } },
            },
          ]),
    ];
  },
};

/** A fit that stopped before it converged is marked with a cross; undefined where there is none. */
function convergence(table: Table): Encoding | undefined {
  if (!table.columns.includes('converged')) return undefined;
  if (!distinct(table, 'converged').some(value => String(value) === 'false')) return undefined;
  return {
    shape: {
      field: 'converged',
      type: 'nominal',
      title: 'converged',
      scale: { domain: ['true', 'false'], range: ['circle', 'cross'] },
    },
  };
}

import { chartOf, colours, colourValues, field, NAMED } from '../chart.js';
import { choose, type Chosen } from '../choice.js';
import { distinct, type Table, type Value } from '../table.js';
import { DASHES, SHAPES, THEME, titleOf } from '../theme.js';
import { dataUrl } from './markup.js';
import type { PageChart } from './page.js';

/** A chart as the page's script takes it: a specification without rows, the rows, and what the controls around it need. */
export interface InteractiveChart {
  /** Vega-Lite, whose panels read the rows as `data: { name: 'rows' }`. */
  spec: object;
  /** Names of the rows' values in Vega, and the table's names for them. */
  fields: string[];
  columns: string[];
  rows: Value[][];
  /** Column by which series are switched, and the series; absent where there are none. */
  legend: { field: string; title: string; entries: LegendEntry[] } | undefined;
  /** Axes that can be logarithmic: those of positive numbers. */
  logarithmic: ('x' | 'y')[];
  thumbnails: { field: string; images: Record<string, string> } | undefined;
}

interface LegendEntry {
  value: Value;
  /** Colour on a light page, which also names the one on a dark page. */
  color: string;
  shape: string | undefined;
  /** Dashes of a line without points. */
  dash: number[] | undefined;
}

interface Panel {
  data: { values?: Record<string, Value>[]; name?: string };
  layer?: Layer[];
  spec?: { layer: Layer[] };
  facet?: object;
  transform?: object[];
}

interface Layer {
  mark: string | { type: string };
  encoding: Record<string, { type?: string; field?: string; legend?: unknown; scale?: object } | undefined>;
  params?: object[];
}

/** The chart of a table with tooltips, zoom and a place for a legend of its own. */
export function interactiveOf({ table, choice, thumbnails }: PageChart): InteractiveChart {
  const chosen = choose(table, choice);
  const { vconcat, ...whole } = chartOf(table, choice) as unknown as Panel & { vconcat?: Panel[] };
  const panels = vconcat ?? [whole];
  const records = panels.flatMap(({ data }) => data.values!);
  const legend = legendOf(table, chosen, layersOf(panels[0]));
  const { rows: byRow } = chosen;
  panels.forEach((panel, i) => {
    const value = byRow === undefined ? undefined : distinct(table, byRow)[i];
    prepare(panel, i, chosen, table.columns, value);
  });
  const fields = table.columns.map(field);
  return {
    spec: {
      ...(vconcat ? { ...whole, vconcat } : whole),
      params: [{ name: 'hidden', value: [] }],
      // Beside the chart, what other columns distinguish would take its width.
      config: { ...THEME, legend: { ...THEME.legend, orient: 'bottom' } },
    },
    fields,
    columns: table.columns,
    rows: records.map(record => fields.map(name => record[name] ?? null)),
    legend,
    logarithmic: chosen.kind === 'line' ? (['x', 'y'] as const).filter(axis => isPositive(table, chosen[axis])) : [],
    thumbnails: thumbnails && { field: field(thumbnails.column), images: addresses(thumbnails.images) },
  };
}

const addresses = (images: Record<string, Uint8Array>): Record<string, string> =>
  Object.fromEntries(Object.entries(images).map(([key, image]) => [key, dataUrl(image)]));

const isPositive = (table: Table, column: string): boolean =>
  table.rows.every(row => row[column] === null || (typeof row[column] === 'number' && row[column] > 0));

/** Reads the rows by name, without those of hidden series; adds tooltips and zoom. */
function prepare(panel: Panel, index: number, chosen: Chosen, columns: string[], value: Value | undefined): void {
  panel.data = { name: 'rows' };
  const { color, rows } = chosen;
  panel.transform = [
    ...(value === undefined ? [] : [{ filter: { field: field(rows!), equal: value } }]),
    ...(color === undefined ? [] : [{ filter: `indexof(hidden, datum[${JSON.stringify(field(color))}]) < 0` }]),
  ];
  const layers = layersOf(panel);
  const curve = layers.find(({ mark }) => mark === 'line');
  // A line has no rows under the pointer; unseen points on it have.
  if (curve && !layers.some(layer => markOf(layer) === 'point')) {
    const { x, y, color, detail } = curve.encoding;
    layers.push({ mark: { type: 'point', opacity: 0, size: 60 } as never, encoding: { x, y, color, detail } });
  }
  for (const layer of layers) {
    if (['point', 'bar'].includes(markOf(layer))) layer.encoding.tooltip = columns.map(tooltipOf) as never;
    for (const channel of ['color', 'shape', 'strokeDash']) {
      const encoding = layer.encoding[channel];
      if (encoding?.field === color && color !== undefined) encoding!.legend = null;
    }
  }
  if (chosen.kind === 'bar') return;
  // Marks at the ends of an axis would be cut in half.
  for (const { encoding } of layers)
    for (const axis of [encoding.x, encoding.y]) if (axis?.scale) axis.scale = { ...axis.scale, padding: 8 };
  const zoom = 'wheel![event.ctrlKey || event.metaKey]';
  layers[0].params = [{ name: `zoom${index}`, select: { type: 'interval', zoom }, bind: 'scales' }];
}

const layersOf = (panel: Panel): Layer[] => (panel.spec ?? panel).layer!;

const markOf = ({ mark }: Layer): string => (typeof mark === 'string' ? mark : mark.type);

/** The whole row, under the table's names. */
const tooltipOf = (column: string) => ({ field: field(column), title: column, type: 'nominal' });

function legendOf(table: Table, { color, sources }: Chosen, layers: Layer[]): InteractiveChart['legend'] {
  if (color === undefined) return undefined;
  const domain = colourValues(table, color, sources);
  const shown = distinct(table, color);
  if (domain.length > NAMED || shown.length < 2) return undefined;
  const name = field(color);
  const tells = (channel: string): boolean => layers.some(({ encoding }) => encoding[channel]?.field === name);
  const [hasShapes, hasDashes] = [tells('shape'), tells('strokeDash')];
  const range = colours(domain.length);
  const entries = domain.map((value, i) => ({
    value,
    color: range[i],
    shape: hasShapes ? SHAPES.at(i) : undefined,
    dash: hasDashes ? DASHES.at(i) : undefined,
  }));
  return { field: name, title: titleOf(color), entries: entries.filter(({ value }) => shown.includes(value)) };
}

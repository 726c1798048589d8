import type { Config } from 'vega-lite';
import { FONT } from './font.js';
import { FOLDED } from './table.js';

/**
 * Okabe & Ito's hues, which colour-blind readers can distinguish, the light ones darkened to a contrast of 3 : 1 on white;
 * a source has the same colour everywhere.
 */
export const PALETTE = ['#0072b2', '#d55e00', '#008a65', '#b8578c', '#b07800', '#2a8fcf', '#5a5a5a', '#857a00'];

/** The same hues on a dark page, by their colour on a light one. */
export const DARK = ['#4da6e0', '#ff8a3d', '#2fc79a', '#e59bc4', '#e9b13c', '#8fd0fa', '#b8b8b8', '#d6cc3f'];

/** Dashes that go with the colours, in pixels drawn and left out. */
export const DASHES = [
  [1, 0],
  [5, 3],
  [2, 2],
  [8, 3],
  [8, 3, 2, 3],
  [1, 3],
  [12, 3],
  [5, 3, 1, 3, 1, 3],
];

/** Shapes that go with the colours. */
export const SHAPES = ['circle', 'square', 'diamond', 'triangle-up', 'triangle-down', 'cross', 'triangle-right'].concat(
  'triangle-left',
);

export const THEME: Config = {
  font: `${FONT}, Verdana, sans-serif`,
  background: 'white',
  padding: 12,
  range: { category: PALETTE },
  title: { fontSize: 14, subtitleFontSize: 11, subtitleColor: '#555', anchor: 'start', offset: 10 },
  axis: { labelFontSize: 11, titleFontSize: 12, titleFontWeight: 'normal', gridColor: '#e6e6e6', domainColor: '#888' },
  legend: { labelFontSize: 11, labelLimit: 240, titleFontSize: 11, titleFontWeight: 'normal' },
  header: { labelFontSize: 12, titleFontSize: 12 },
  line: { strokeWidth: 2 },
  point: { size: 40, filled: true },
  view: { stroke: null },
  // A line has a gap where nothing finite was measured.
  mark: { color: PALETTE[0], invalid: 'break-paths-filter-domains' },
};

const TITLES: Record<string, string> = {
  // Of several measures, each named above its panel.
  [FOLDED.value]: '',
  nll: 'negative log-likelihood (nats per sample)',
  nll_per_dim: 'negative log-likelihood (nats per dimension)',
  components: 'mixture components',
  step: 'training step',
  t: 't (0 is noise, 1 is data)',
  log_snr: 'log signal-to-noise ratio',
  accuracy: 'probe accuracy',
  top1: 'probe accuracy (top 1)',
  source: 'latent space',
};

/** Title of an axis: the field's term and the unit for columns that maetok writes. */
export const titleOf = (column: string): string => TITLES[column] ?? column.replaceAll('_', ' ');

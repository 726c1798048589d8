import type { Config } from 'vega-lite';
import { FONT } from './font.js';

/** Okabe & Ito's colours, which colour-blind readers can distinguish; a source has the same colour everywhere. */
export const PALETTE = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#5a5a5a', '#b8a900'];

export const THEME: Config = {
  font: FONT,
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
  mark: { invalid: 'break-paths-filter-domains' },
};

const TITLES: Record<string, string> = {
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

import type { Table, TableRow } from '../report/index.js';
import type { MeasureName } from './names.js';
import { where, type StudyTables } from './tables.js';

/** One number that distinguishes latent spaces, found in a study's tables. */
export interface Measure {
  /** Column head and axis title for people. */
  title: string;
  better: 'lower' | 'higher';
  /** The conditions under which the number was measured: column of the summary, named after the measure → column of the measured row. */
  context?: Record<string, string>;
  /** The row of one space and seed that holds the number, and its column. */
  find: (tables: StudyTables, source: string, seed: number) => { row: TableRow; column: string } | undefined;
}

/** The last row of a table for a space that also has these values. */
function lastRow(table: Table, source: string, seed: number, wanted: TableRow, by?: string): TableRow | undefined {
  const { rows } = where(table, { source, seed, ...wanted });
  return by === undefined ? rows.at(-1) : [...rows].sort((a, b) => Number(a[by]) - Number(b[by])).at(-1);
}

const found = (row: TableRow | undefined, column: string) =>
  row && typeof row[column] === 'number' && !Number.isNaN(row[column]) ? { row, column } : undefined;

export const MEASURES: Record<MeasureName, Measure> = {
  nll_per_dim: {
    title: 'NLL per dimension (nats, most components)',
    better: 'lower',
    find: ({ nll }, source, seed) =>
      found(lastRow(nll, source, seed, { control: 'none' }, 'components'), 'nll_per_dim'),
    context: { nll_dims: 'dims', nll_components: 'components' },
  },
  gain: {
    title: 'gain over one Gaussian (nats)',
    better: 'higher',
    find: ({ nll }, source, seed) => found(lastRow(nll, source, seed, { control: 'none' }, 'components'), 'gain'),
  },
  probe: {
    title: 'probe accuracy',
    better: 'higher',
    find: ({ probe }, source, seed) =>
      ['logistic', 'mae', 'knn']
        .map(kind =>
          found(lastRow(probe, source, seed, { feature: 'flattened', probe: kind, control: 'none' }), 'accuracy'),
        )
        .find(row => row !== undefined),
    context: { probe_kind: 'probe', probe_dims: 'dims' },
  },
  diffusion_loss: {
    title: 'held-out diffusion loss (variance-normalised)',
    better: 'lower',
    find: ({ diffusion }, source, seed) =>
      found(
        lastRow(diffusion, source, seed, { split: 'heldout', weights: 'ema', bin: 'all' }, 'step'),
        'loss_normalised',
      ),
    context: { diffusion_step: 'step' },
  },
  reconstruction: {
    title: 'reconstruction PSNR (dB)',
    better: 'higher',
    find: ({ reconstruction, validation }, source, seed) =>
      found(lastRow(reconstruction, source, seed, { metric: 'psnr' }), 'value') ??
      found(lastRow(validation, source, seed, {}, 'step'), 'val_psnr'),
  },
  reconstruction_distance: {
    title: 'Fréchet distance of reconstructions',
    better: 'lower',
    find: ({ reconstruction }, source, seed) =>
      found(lastRow(reconstruction, source, seed, { metric: 'rfid' }), 'value') ??
      found(lastRow(reconstruction, source, seed, { metric: 'rfd' }), 'value'),
    context: { reconstruction_features: 'features', reconstruction_images: 'images' },
  },
  generation: {
    title: 'Fréchet distance of samples',
    better: 'lower',
    find: ({ generation }, source, seed) =>
      found(lastRow(generation, source, seed, { metric: 'fid' }), 'value') ??
      found(lastRow(generation, source, seed, { metric: 'fd' }), 'value'),
    context: { generation_features: 'features', generation_images: 'images' },
  },
};

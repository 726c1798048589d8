import type { Table, TableRow } from '../report/index.js';
import type { MeasureName } from './names.js';
import { where, type StudyTables } from './tables.js';

/** A measured number: the row that holds it, and its column. */
export interface Found {
  row: TableRow;
  column: string;
}

/** One number that distinguishes latent spaces, found in a study's tables. */
export interface Measure {
  /** Column head and axis title for people. */
  title: string;
  better: 'lower' | 'higher';
  /** The conditions under which the number was measured: column of the summary, named after the measure → column of the measured row. */
  context?: Record<string, string>;
  /** Whether every diffusion model on a latent space has a number of its own. */
  perRun?: boolean;
  /**
   * Whether it counts the components of the best mixture, or parts that depend on how it was fitted: too few where the
   * largest that was tried is the best.
   */
  counted?: 'components' | 'parts';
  /** Where the number is in the tables of one latent space, or of one diffusion model. */
  find: (tables: StudyTables) => Found | undefined;
}

/** The last row of a table that has these values. */
function lastRow(table: Table, wanted: TableRow, by?: string): TableRow | undefined {
  const { rows } = where(table, wanted);
  return by === undefined ? rows.at(-1) : [...rows].sort((a, b) => Number(a[by]) - Number(b[by])).at(-1);
}

/** The number in a column, if there is one. */
export const found = (row: TableRow | undefined, column: string): Found | undefined =>
  row && typeof row[column] === 'number' && !Number.isNaN(row[column]) ? { row, column } : undefined;

/** The mixture that describes held-out rows best: more components than this fit the rows at hand only. */
export function bestMixture(nll: Table, control = 'none'): TableRow | undefined {
  const rows = where(nll, { control }).rows.filter(({ nll_per_dim: value }) => Number.isFinite(value));
  return rows.reduce<TableRow | undefined>(
    (best, row) => (best && Number(best.nll_per_dim) <= Number(row.nll_per_dim) ? best : row),
    undefined,
  );
}

/** Whether the largest mixture that was tried describes a latent space best, so that more components may do better still. */
export function atLargest({ nll, best }: StudyTables, source: string): boolean {
  const told = where(best, { source }).rows;
  if (told.length > 0) return told.some(row => String(row.at_largest) === 'true');
  const fits = where(nll, { source, control: 'none' });
  const most = Math.max(...fits.rows.map(({ components }) => Number(components)));
  return [...new Set(fits.rows.map(({ seed }) => seed))].some(
    seed => bestMixture(where(fits, { seed: seed ?? null }))?.components === most,
  );
}

/** The interval of the NLL, per dimension as the NLL itself. */
const perDim = (row: TableRow | undefined): TableRow | undefined =>
  row && {
    ...row,
    nll_per_dim_low: Number(row.nll_low) / Number(row.dims),
    nll_per_dim_high: Number(row.nll_high) / Number(row.dims),
  };

/** ∫ over t of the lowest diffusion loss on the best mixture: the mean over equal bins of t. */
function meanFloor({ nll, floor }: StudyTables): Found | undefined {
  const components = bestMixture(nll)?.components;
  const losses = components == null ? [] : where(floor, { components }).rows.map(({ loss }) => Number(loss));
  if (losses.length === 0) return undefined;
  return { row: { floor: losses.reduce((sum, loss) => sum + loss, 0) / losses.length }, column: 'floor' };
}

export const MEASURES: Record<MeasureName, Measure> = {
  nll_per_dim: {
    title: 'held-out NLL per dimension (nats, at the best number of components)',
    better: 'lower',
    find: ({ nll }) => found(perDim(bestMixture(nll)), 'nll_per_dim'),
    context: { nll_dims: 'dims', nll_components: 'components' },
  },
  gain: {
    title: 'gain over one Gaussian (nats, at the best number of components)',
    better: 'higher',
    find: ({ nll }) => found(bestMixture(nll), 'gain'),
  },
  best_components: {
    title: 'components at the best held-out NLL',
    better: 'lower',
    counted: 'components',
    find: ({ nll, best }) => found(best.rows.at(0), 'best_components') ?? found(bestMixture(nll), 'components'),
  },
  effective_components: {
    title: 'effective components (exponential of the weights’ entropy, at the best held-out NLL)',
    better: 'lower',
    counted: 'parts',
    find: ({ nll, best }) =>
      found(best.rows.at(0), 'effective_components') ?? found(bestMixture(nll), 'effective_components'),
  },
  modes: {
    title: 'modes of the density (mean shift, at the best held-out NLL)',
    better: 'lower',
    counted: 'parts',
    find: ({ nll, best }) => found(best.rows.at(0), 'modes') ?? found(bestMixture(nll), 'modes'),
  },
  floor: {
    title: 'lowest diffusion loss on the best mixture (mean over t)',
    better: 'lower',
    find: meanFloor,
  },
  probe: {
    title: 'probe accuracy',
    better: 'higher',
    find: ({ probe }) =>
      ['logistic', 'mae', 'knn']
        .map(kind => found(lastRow(probe, { feature: 'flattened', probe: kind, control: 'none' }), 'accuracy'))
        .find(row => row !== undefined),
    context: { probe_kind: 'probe', probe_dims: 'dims' },
  },
  diffusion_loss: {
    title: 'held-out diffusion loss (variance-normalised)',
    better: 'lower',
    perRun: true,
    find: ({ diffusion }) =>
      found(lastRow(diffusion, { split: 'heldout', weights: 'ema', bin: 'all' }, 'step'), 'loss_normalised'),
    context: { diffusion_step: 'step' },
  },
  reconstruction: {
    title: 'reconstruction PSNR (dB)',
    better: 'higher',
    find: ({ reconstruction, validation }) =>
      found(lastRow(reconstruction, { metric: 'psnr' }), 'value') ?? found(lastRow(validation, {}, 'step'), 'val_psnr'),
  },
  reconstruction_distance: {
    title: 'Fréchet distance of reconstructions',
    better: 'lower',
    find: ({ reconstruction }) =>
      found(lastRow(reconstruction, { metric: 'rfid' }), 'value') ??
      found(lastRow(reconstruction, { metric: 'rfd' }), 'value'),
    context: { reconstruction_features: 'features', reconstruction_images: 'images' },
  },
  generation: {
    title: 'Fréchet distance of samples',
    better: 'lower',
    perRun: true,
    find: ({ generation }) =>
      found(lastRow(generation, { metric: 'fid' }), 'value') ?? found(lastRow(generation, { metric: 'fd' }), 'value'),
    context: { generation_features: 'features', generation_images: 'images' },
  },
};

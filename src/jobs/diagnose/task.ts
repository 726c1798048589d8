import { availableCores } from '../../base/index.js';
import type { Log } from '../../base/index.js';
import { alone, shareOf, type Communicator, type OfRanks } from '../../distributed/index.js';
import type { ChannelScale, Grid } from '../../diagnose/diffusability/index.js';
import type { RowSample } from '../../diagnose/index.js';
import type { MeasureGroup } from '../../diagnose/names.js';
import { rowStatistics, type RowStatistics } from '../../pca/index.js';
import { randomRows, rowsPerChunk, sampleOf, type RowSource } from '../../rows/index.js';
import type { MaskImages } from './masks.js';

/** Latents to diagnose: rows [tokens · channels]. */
export interface DiagnoseSource {
  name: string;
  rows: RowSource;
  tokens: number;
  /** Rows and columns of tokens that are a grid, which run along its rows. */
  grid?: Grid | undefined;
  /** Each channel's mean and unbiased standard deviation, as the files have it or found in a pass. */
  statistics: () => Promise<ChannelScale>;
}

export interface DiagnoseSettings {
  /** What to measure; what a source lacks the means for (labels, features) is left out. */
  groups: readonly MeasureGroup[];
  /** Features of the same images in the same order, which neighbourhoods are held against. */
  features?: RowSource | undefined;
  /** Foreground masks of the same images in the same order. */
  masks?: MaskImages | undefined;
  /** Neighbours of a row that intrinsic dimension and alignment look at. */
  neighbours: number;
  /** Rows at most, drawn by seed, on which measures of pairs of rows are taken. */
  sample: number;
  /** Tokens, one of each image, whose spread in the plane is measured. */
  positions: number;
  seed: number;
  threads?: number | undefined;
  /** Ranks that have the same sources and divide the work; all get the same rows. Default: one process. */
  communicator?: Communicator | undefined;
}

export interface DiagnoseRow {
  source: string;
  group: MeasureGroup;
  measure: string;
  value: number;
  /** Setting that the value depends on, e.g. `k=10`. */
  setting: string;
  /** Rows that it was taken on. */
  rows: number;
}

export type Measured = Pick<DiagnoseRow, 'measure' | 'value' | 'rows'> & { setting?: string };

/** One source, what is to be known of it, and what several groups need of it, computed by the first that asks. */
export interface Task extends DiagnoseSource {
  settings: DiagnoseSettings;
  log: Log;
  /** This rank's share of the source's rows, in whole chunks: what passes over all rows reads these. */
  ranks: OfRanks;
  moments: () => Promise<RowStatistics>;
  spectrum: () => Promise<Float64Array>;
  /** The rows that measures of pairs take, all of them on every rank. */
  sample: () => Promise<RowSample>;
}

export function taskOf(source: DiagnoseSource, settings: DiagnoseSettings, log: Log): Task {
  const { rows } = source;
  const { threads = availableCores(), sample: most, seed, communicator = alone } = settings;
  const moments = once(async () => {
    const progress = log.progress(`${rows.name}: moments`, rows.rows, 'rows');
    const found = await rowStatistics(rows, { threads, communicator, onRows: seen => progress.update(seen) });
    progress.stop();
    return found;
  });
  return {
    ...source,
    settings,
    log,
    ranks: { communicator, share: shareOf(communicator, rows.rows, rowsPerChunk(rows)) },
    moments,
    spectrum: once(async () => (await moments()).spectrum()),
    sample: once(() => sampleOf(rows, randomRows(rows.rows, most, seed), communicator)),
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

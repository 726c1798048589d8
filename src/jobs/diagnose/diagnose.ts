import { availableParallelism } from 'node:os';
import { UserError, type Log } from '../../base/index.js';
import {
  alignment,
  calinskiHarabasz,
  channelSummary,
  classCentres,
  columnMeans,
  conditionNumber,
  daviesBouldin,
  effectiveRank,
  excessKurtosis,
  fisherRatio,
  isoScore,
  meanCosine,
  mleDimension,
  numericalRank,
  participationRatio,
  powerLaw,
  silhouette,
  stableRank,
  streamedRedundancy,
  tokenCorrelations,
  tokenRedundancy,
  tokenStds,
  twoNn,
  uniformity,
  type RowSample,
} from '../../diagnose/index.js';
import type { MeasureGroup } from '../../diagnose/names.js';
import { nearestNeighbours } from '../../neighbours/index.js';
import { randomRows, sampleOf, type RowSource } from '../../rows/index.js';
import { presentClasses } from '../../io/index.js';
import { dimensionsFor, rowStatistics, type RowStatistics } from '../../pca/index.js';
import { tokenPlane } from './token-plane.js';

/** Latents to diagnose: rows [tokens · channels]. */
export interface DiagnoseSource {
  name: string;
  rows: RowSource;
  tokens: number;
}

export interface DiagnoseSettings {
  /** What to measure; what a source lacks the means for (labels, features) is left out. */
  groups: readonly MeasureGroup[];
  /** Features of the same images in the same order, which neighbourhoods are held against. */
  features?: RowSource | undefined;
  /** Neighbours of a row that intrinsic dimension and alignment look at. */
  neighbours: number;
  /** Rows at most, drawn by seed, on which measures of pairs of rows are taken. */
  sample: number;
  /** Tokens, one of each image, whose spread in the plane is measured. */
  positions: number;
  seed: number;
  threads?: number | undefined;
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

type Measured = Pick<DiagnoseRow, 'measure' | 'value' | 'rows'> & { setting?: string };

/** One latent space, measured: a row per measure. */
export async function diagnoseLatents(
  source: DiagnoseSource,
  settings: DiagnoseSettings,
  log: Log,
): Promise<DiagnoseRow[]> {
  checkRows(source, settings);
  const task = { ...source, settings, log, ...remembered(source, settings, log) };
  const rows: DiagnoseRow[] = [];
  for (const group of settings.groups) {
    log.note(`${source.name}: ${group}`);
    for (const { setting = '', ...measured } of await MEASURES[group](task))
      rows.push({ source: source.name, group, setting, ...measured });
  }
  return rows;
}

interface Task extends DiagnoseSource {
  settings: DiagnoseSettings;
  log: Log;
  moments: () => Promise<RowStatistics>;
  spectrum: () => Promise<Float64Array>;
  /** The rows that measures of pairs take. */
  sample: () => Promise<RowSample>;
}

/** Intermediate results that several groups need, computed once, by the first that asks. */
function remembered({ rows }: DiagnoseSource, settings: DiagnoseSettings, log: Log) {
  const { threads = availableParallelism(), sample: most, seed } = settings;
  const moments = once(async () => {
    const progress = log.progress(`${rows.name}: moments`, rows.rows, 'rows');
    const found = await rowStatistics(rows, { threads, onRows: seen => progress.update(seen) });
    progress.stop();
    return found;
  });
  return {
    moments,
    spectrum: once(async () => (await moments()).spectrum()),
    sample: once(() => sampleOf(rows, randomRows(rows.rows, most, seed))),
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

const FEWEST = 20;

function checkRows({ name, rows }: DiagnoseSource, { features, groups, neighbours }: DiagnoseSettings): void {
  const fewest = Math.max(FEWEST, neighbours + 2);
  if (rows.rows < fewest) throw new UserError(`${name}: has ${rows.rows} rows; measures of its shape need ${fewest}`);
  if (features && features.rows !== rows.rows)
    throw new UserError(
      `--features ${features.name}: has ${features.rows} rows, ${name} ${rows.rows}; both must be of the same images in the same order`,
    );
  const only = groups.length === 1 ? groups[0] : undefined;
  if (only === 'classes' && !rows.labels)
    throw new UserError(
      `${name}: has no labels, which --measure classes needs; extract from a folder with a subfolder per class`,
    );
  if (only === 'alignment' && !features)
    throw new UserError('--measure alignment needs --features of the same images to compare the latents with');
}

const MEASURES: Record<MeasureGroup, (task: Task) => Promise<Measured[]>> = {
  async spectrum({ rows: { rows }, spectrum: find }) {
    const spectrum = await find();
    const total = spectrum.reduce((sum, value) => sum + value, 0);
    const { slope, ranks, r2 } = powerLaw(spectrum);
    const setting = `ranks=${ranks[0]}-${ranks[1]}`;
    return [
      { measure: 'total_variance', value: total, rows },
      { measure: 'effective_rank', value: effectiveRank(spectrum), rows },
      { measure: 'participation_ratio', value: participationRatio(spectrum), rows },
      { measure: 'stable_rank', value: stableRank(spectrum), rows },
      { measure: 'numerical_rank', value: numericalRank(spectrum), rows },
      { measure: 'condition_number', value: conditionNumber(spectrum), rows },
      {
        measure: 'pca_dims',
        value: dimensionsFor(spectrum, total, 0.9) ?? spectrum.length,
        setting: 'variance=0.9',
        rows,
      },
      { measure: 'spectrum_slope', value: slope, setting, rows },
      { measure: 'spectrum_slope_r2', value: r2, setting, rows },
    ];
  },
  async dimension({ sample: draw, settings: { neighbours } }) {
    const { rows, width, data } = await draw();
    const distances = await nearestNeighbours(data, rows, width, neighbours);
    return [
      { measure: 'twonn', value: twoNn(distances), rows },
      { measure: 'mle_dimension', value: mleDimension(distances), setting: `k=${neighbours}`, rows },
    ];
  },
  async isotropy({ rows: source, sample: draw, spectrum, moments }) {
    const sample = await draw();
    const { mean } = await moments();
    const kurtosis = (await excessKurtosis(source, mean)).filter(value => !Number.isNaN(value)).sort();
    const { rows } = source;
    const mid = kurtosis[Math.floor(kurtosis.length / 2)];
    return [
      { measure: 'iso_score', value: isoScore(await spectrum()), rows },
      { measure: 'mean_cosine', value: meanCosine(sample), rows: sample.rows },
      { measure: 'mean_cosine', value: meanCosine(centred(sample)), setting: 'centred', rows: sample.rows },
      {
        measure: 'excess_kurtosis',
        value: kurtosis.reduce((a, b) => a + b, 0) / kurtosis.length,
        setting: 'mean',
        rows,
      },
      { measure: 'excess_kurtosis', value: mid, setting: 'median', rows },
      { measure: 'excess_kurtosis', value: kurtosis[kurtosis.length - 1], setting: 'largest', rows },
    ];
  },
  async tokens({ tokens, rows: source, moments: find }) {
    const moments = await find();
    const { rows } = source;
    const { mean, std, dead } = channelSummary(moments, tokens);
    const perToken = tokenStds(moments, tokens);
    const setting = `tokens=${tokens}`;
    const redundancy = moments.scatter
      ? tokenRedundancy(tokenCorrelations(moments.scatter, tokens), tokens)
      : await streamedRedundancy(source, moments, tokens);
    return [
      { measure: 'channel_mean_largest', value: Math.max(...mean.map(Math.abs)), rows },
      { measure: 'channel_std_smallest', value: Math.min(...std), rows },
      { measure: 'channel_std_largest', value: Math.max(...std), rows },
      { measure: 'dead_channels', value: dead, setting: `channels=${std.length}`, rows },
      { measure: 'token_std_smallest', value: Math.min(...perToken), setting, rows },
      { measure: 'token_std_largest', value: Math.max(...perToken), setting, rows },
      // One token has none to repeat.
      ...(tokens > 1 ? [{ measure: 'token_redundancy', value: redundancy, setting, rows }] : []),
    ];
  },
  async classes({ name, rows: source, sample: draw, settings: { sample: most, seed }, log }) {
    if (!source.labels) {
      log.warn(`${name}: has no labels, so measures of its classes are skipped`);
      return [];
    }
    const drawn = randomRows(source.rows, most, seed);
    const { labels, present } = presentClasses(drawn.map(row => source.labels![row]));
    const classes = present.length;
    if (classes < 2) throw new UserError(`${name}: all rows have the same label; leave classes out of --measure`);
    const sample = { ...(await draw()), labels, classes };
    const { rows } = sample;
    const centres = classCentres(sample);
    const { ratio, shrinkage } = await fisherRatio(sample, centres);
    return [
      { measure: 'fisher_ratio', value: ratio, setting: `shrinkage=${shrinkage}`, rows },
      { measure: 'silhouette', value: await silhouette(sample, centres), rows },
      { measure: 'davies_bouldin', value: daviesBouldin(sample, centres), rows },
      { measure: 'calinski_harabasz', value: calinskiHarabasz(sample, centres), rows },
    ];
  },
  async alignment({ tokens, rows: source, sample: draw, settings: { features, neighbours: k, sample: most, seed } }) {
    if (!features) return [];
    const other = await sampleOf(features, randomRows(source.rows, most, seed));
    const sample = await draw();
    const views: [string, RowSample][] = [['flattened', sample]];
    if (tokens > 1) views.push(['mean', tokenMeans(sample, tokens)]);
    const measured: Measured[] = [];
    for (const [view, own] of views) {
      const { cknna, mutualNeighbours } = await alignment(own, other, k);
      const setting = `${view} k=${k}`;
      measured.push(
        { measure: 'cknna', value: cknna, setting, rows: sample.rows },
        { measure: 'mutual_neighbours', value: mutualNeighbours, setting, rows: sample.rows },
      );
    }
    return measured;
  },
  async uniformity(task) {
    const { settings, log } = task;
    const points = await tokenPlane(task, await task.moments(), settings, log);
    const rows = points.length / 2;
    const { densityStd, densityCv, normalisedEntropy, gini } = uniformity(points);
    const setting = 't-SNE perplexity=30';
    return [
      { measure: 'density_std', value: densityStd, setting, rows },
      { measure: 'density_cv', value: densityCv, setting, rows },
      { measure: 'density_entropy', value: normalisedEntropy, setting, rows },
      { measure: 'density_gini', value: gini, setting, rows },
    ];
  },
};

function centred(sample: RowSample): RowSample {
  const mean = columnMeans(sample);
  return { ...sample, data: sample.data.map((value, at) => value - mean[at % sample.width]) };
}

function tokenMeans({ rows, width, data }: RowSample, tokens: number): RowSample {
  const channels = width / tokens;
  const out = new Float32Array(rows * channels);
  data.forEach((value, at) => {
    out[Math.floor(at / width) * channels + (at % channels)] += value / tokens;
  });
  return { rows, width: channels, data: out };
}

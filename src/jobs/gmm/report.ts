import { concatenated, RandomNumbers } from '../../base/index.js';
import {
  componentStatistics,
  diffusionFloor,
  effectiveComponents,
  findModes,
  parameterCount,
  type Algorithm,
  type CovarianceType,
  type Fit,
  type Merge,
  type NullControl,
} from '../../gmm/index.js';
import { bootstrapMean } from '../../statistics/index.js';
import type { SweepSettings } from './settings.js';
import type { AnalysedSpace } from './space.js';

/** Where the diffusion loss's floor is evaluated: the midpoints of 32 bins of t. */
export const FLOOR_TIMES = Array.from({ length: 32 }, (_, bin) => (bin + 0.5) / 32);

/** The fits of one component count to one split of one source. */
export interface SpaceResult {
  space: AnalysedSpace;
  control: NullControl;
  components: number;
  trainRows: number;
  heldoutRows: number;
  /** One per repeat, the best first. */
  fits: ScoredFit[];
  merges?: Merge[];
}

/** A fit and its likelihoods in nats: of the training rows a mean, of the scored ones each. */
export interface ScoredFit {
  fit: Fit;
  train: number;
  trainGain: number;
  nlls: Float32Array;
  gains: Float32Array;
}

export interface GmmRow {
  source: string;
  control: NullControl;
  components: number;
  covariance: CovarianceType;
  algorithm: Algorithm;
  dims: number;
  explained_variance: number;
  train_rows: number;
  heldout_rows: number;
  /** Of held-out rows where there are any, in nats per row, with a 95% interval. */
  nll: number;
  nll_low: number;
  nll_high: number;
  nll_per_dim: number;
  train_nll: number;
  train_nll_per_dim: number;
  /** Below one Gaussian of the same kind fitted on the same rows. */
  gain: number;
  gain_low: number;
  gain_high: number;
  train_gain: number;
  bic: number;
  aic: number;
  effective_components: number;
  modes: number | null;
  min_separation: number | null;
  converged: boolean;
  iterations: number;
  restart: number;
  reseeded: number;
  falls: number;
  /** Sum of the unnormalised weights, and the NLL computed with them. */
  weights_sum: number | null;
  reported_nll: number | null;
}

export interface GmmReport {
  rows: GmmRow[];
  fits: FittedMixture[];
}

/** One winning fit with all that further tables are made of. */
export interface FittedMixture {
  source: string;
  components: number;
  space: AnalysedSpace;
  fit: Fit;
  /** −log p of each scored row, one array per repeat, and how far below one Gaussian's it is. */
  nlls: Float32Array[];
  gains: Float32Array[];
  statistics: ReturnType<typeof componentStatistics>;
  floor?: Float64Array;
  merges?: Merge[] | undefined;
  modeOf?: Int32Array;
}

/** The rows of a sweep's table and its winning fits; folds of one source are one row. */
export function report(results: SpaceResult[], settings: SweepSettings): GmmReport {
  const groups = new Map<string, SpaceResult[]>();
  for (const result of results) {
    const key = [result.space.source, result.control, result.components].join('\n');
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  const rows: GmmRow[] = [];
  const fits: FittedMixture[] = [];
  const random = new RandomNumbers(settings.seed).for('bootstrap');
  for (const folds of groups.values()) {
    const fitted = fittedMixture(folds, settings);
    rows.push(rowOf(folds, fitted, settings, random));
    if (folds[0].control === 'none') fits.push(fitted);
  }
  return { rows, fits };
}

function fittedMixture(folds: SpaceResult[], { floor, modes, repeats, seed }: SweepSettings): FittedMixture {
  const [{ space, components, control, fits, merges }] = folds;
  const { mixture } = fits[0].fit;
  const across = (pick: (scored: ScoredFit) => Float32Array): Float32Array[] =>
    Array.from({ length: repeats }, (_, repeat) =>
      concatenated(
        Float32Array,
        folds.map(fold => pick(fold.fits[repeat])),
      ),
    );
  return {
    source: space.source,
    components,
    space,
    fit: fits[0].fit,
    nlls: across(({ nlls }) => nlls),
    gains: across(({ gains }) => gains),
    statistics: componentStatistics(mixture),
    merges,
    ...(control === 'none' && floor && { floor: diffusionFloor(mixture, { times: FLOOR_TIMES, seed }) }),
    ...(control === 'none' && modes && { modeOf: findModes(mixture).modeOf }),
  };
}

function rowOf(
  folds: SpaceResult[],
  { nlls, gains, statistics, modeOf }: FittedMixture,
  settings: SweepSettings,
  random: RandomNumbers,
): GmmRow {
  const [{ space, control, components, fits }] = folds;
  const { fit } = fits[0];
  const { dims } = fit.mixture;
  const all = folds.flatMap(fold => fold.fits);
  const mean = (pick: (scored: ScoredFit) => number): number =>
    all.reduce((sum, one) => sum + pick(one), 0) / all.length;
  const [nll, gain] = [bootstrapMean(nlls, random), bootstrapMean(gains, random)];
  const deviance = 2 * fits[0].train * folds[0].trainRows;
  const parameters = parameterCount(fit.mixture);
  const weightLog = mean(({ fit: { weightSum } }) => Math.log(weightSum ?? NaN));
  const separation = Math.min(...statistics.map(({ minMeanDistance }) => minMeanDistance));
  return {
    source: space.source,
    control,
    components,
    covariance: settings.covariance,
    algorithm: settings.algorithm,
    dims,
    explained_variance: space.explained,
    train_rows: folds[0].trainRows,
    heldout_rows: folds.reduce((sum, fold) => sum + fold.heldoutRows, 0),
    nll: meanOf(nlls),
    nll_low: nll.low,
    nll_high: nll.high,
    nll_per_dim: meanOf(nlls) / dims,
    train_nll: mean(({ train }) => train),
    train_nll_per_dim: mean(({ train }) => train) / dims,
    gain: meanOf(gains),
    gain_low: gain.low,
    gain_high: gain.high,
    train_gain: mean(({ trainGain }) => trainGain),
    bic: deviance + parameters * Math.log(folds[0].trainRows),
    aic: deviance + 2 * parameters,
    effective_components: effectiveComponents(fit.mixture.weights),
    modes: modeOf ? 1 + Math.max(...modeOf) : null,
    min_separation: Number.isNaN(separation) ? null : separation,
    converged: all.every(({ fit: { converged } }) => converged),
    iterations: fit.iterations,
    restart: fit.restart,
    reseeded: all.reduce((sum, { fit: { reseeded } }) => sum + reseeded, 0),
    falls: all.reduce((sum, { fit: { falls } }) => sum + falls, 0),
    weights_sum: Number.isNaN(weightLog) ? null : Math.exp(weightLog),
    reported_nll: Number.isNaN(weightLog) ? null : meanOf(nlls) - weightLog,
  };
}

function meanOf(repeats: Float32Array[]): number {
  let sum = 0;
  let count = 0;
  for (const values of repeats)
    for (const value of values) {
      sum += value;
      count++;
    }
  return sum / count;
}

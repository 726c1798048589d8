import { availableParallelism } from 'node:os';
import { EXIT, RandomNumbers, UserError, type Log } from '../../base/index.js';
import {
  componentStatistics,
  confusion,
  diffusionFloor,
  effectiveComponents,
  findModes,
  fitMixture,
  logDensities,
  mergeTree,
  openWorkspace,
  parameterCount,
  scoreWorkspace,
  splitHeaviest,
  type Algorithm,
  type Control,
  type CovarianceType,
  type Fit,
  type FitOptions,
  type Merge,
  type Mixture,
  type Start,
  type Workspace,
} from '../../gmm/index.js';
import { bootstrapMean } from '../../statistics/index.js';
import { cachedRows, distinctRows, type RowSource } from '../../rows/index.js';
import { reducedRows } from '../../pca/index.js';
import { FITS, type FitContext } from './algorithms.js';
import { nullRows } from './nulls.js';
import { openSpaces, type GmmSource, type Space, type SpaceSettings } from './space.js';
import { noState, type SweepState } from './state.js';

export type { GmmSource, Space } from './space.js';

export interface GmmSettings extends Omit<SpaceSettings, 'threads' | 'signal'> {
  components: number[];
  covariance: CovarianceType;
  /** Default em. */
  algorithm?: Algorithm | undefined;
  start: Start;
  /** A mixture to start from, and the space it lives in where its file says so. */
  initial?: { mixture: Mixture; space?: Space['reduction'] | undefined } | undefined;
  restarts: number;
  /** Fits from this many seeds, whose spread widens the intervals. */
  repeats: number;
  regCovar: number;
  tol: number;
  maxIter: number;
  controls: Control[];
  /** Start each component count from the former one's mixture, its heaviest components split. */
  grow: boolean;
  /** Bytes. */
  memory: number;
  threads?: number | undefined;
  /** Times at which the diffusion loss's floor is wanted. */
  floorTimes?: number[] | undefined;
  /** Also find the densities' modes and the order in which components merge. */
  modes?: boolean | undefined;
}

export interface GmmRow {
  source: string;
  control: Control;
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
  space: Space;
  fit: Fit;
  /** −log p of each scored row, one array per repeat, and how far below one Gaussian's it is. */
  nlls: Float32Array[];
  gains: Float32Array[];
  statistics: ReturnType<typeof componentStatistics>;
  floor?: Float64Array;
  merges?: Merge[];
  modeOf?: Int32Array;
}

export interface GmmContext {
  log: Log;
  signal?: AbortSignal | undefined;
  state?: SweepState | undefined;
}

/**
 * The paper's analysis of latent spaces: split, PCA and scaling fitted on the training rows, and a sweep of Gaussian
 * mixtures over component counts, scored on held-out rows.
 */
export async function analyzeGmm(sources: GmmSource[], settings: GmmSettings, context: GmmContext): Promise<GmmReport> {
  const threads = settings.threads ?? availableParallelism();
  try {
    const spaces = await spacesOf(sources, { ...settings, threads, signal: context.signal }, context.log);
    const fitted: SpaceResult[] = [];
    for (const space of spaces) fitted.push(...(await analyzeSpace(space, { ...settings, threads }, context)));
    return report(fitted, { ...settings, threads });
  } catch (error) {
    if (!context.signal?.aborted) throw error;
    throw new UserError(
      context.state
        ? 'interrupted; the state is saved, the same command line resumes from there'
        : 'interrupted; with --state FOLDER the same command line could resume from there',
      EXIT.interrupted,
    );
  }
}

async function spacesOf(sources: GmmSource[], settings: GmmSettings & SpaceSettings, log: Log): Promise<Space[]> {
  const given = settings.initial?.space;
  if (!given) return await openSpaces(sources, settings, log);
  // The mixture brings its space with it: nothing is fitted, only the split is made.
  const split = await openSpaces(sources, { ...settings, pca: false, standardize: false }, log);
  return split.map(space => {
    if (space.train.width !== given.width)
      throw new UserError(
        `${space.source}: its rows have ${space.train.width} numbers; the mixture of --init-from was fitted to rows of ${given.width}`,
      );
    return { ...space, reduction: given, explained: NaN };
  });
}

interface SpaceResult {
  space: Space;
  control: Control;
  components: number;
  trainRows: number;
  heldoutRows: number;
  /** One per repeat, the best first. */
  fits: Scored[];
  merges?: Merge[];
}

interface Scored {
  fit: Fit;
  train: number;
  trainGain: number;
  nlls: Float32Array;
  gains: Float32Array;
}

type Settings = GmmSettings & { threads: number };

async function analyzeSpace(space: Space, settings: Settings, context: GmmContext): Promise<SpaceResult[]> {
  const half = settings.memory / 4;
  const train = await cachedRows(reducedRows(space.reduction, space.train), half);
  const heldout = space.heldout && (await cachedRows(reducedRows(space.reduction, space.heldout), half / 2));
  try {
    const results: SpaceResult[] = [];
    for (const control of settings.controls) {
      const rows = await nullRows(control, train.rows, heldout?.rows, settings);
      results.push(...(await sweep(space, control, rows.train, rows.heldout, settings, context)));
    }
    return results;
  } finally {
    await train.dispose();
    await heldout?.dispose();
  }
}

async function sweep(
  space: Space,
  control: Control,
  train: RowSource,
  heldout: RowSource | undefined,
  settings: Settings,
  context: GmmContext,
): Promise<SpaceResult[]> {
  const { covariance, memory, threads, algorithm = 'em' } = settings;
  // With a state folder an iteration is finished and saved before an interruption takes effect.
  const signal = context.state ? undefined : context.signal;
  const components = [...settings.components].sort((a, b) => a - b);
  const largest = Math.max(1, ...components);
  if (largest > train.rows)
    throw new UserError(
      `${space.source}: ${largest} components need at least as many rows to fit; there are ${train.rows}`,
      EXIT.failed,
    );
  const distinct = await distinctRows(train, largest);
  if (distinct < largest)
    context.log.warn(
      `${space.source}: only ${distinct} of its ${train.rows} rows are distinct, fewer than ${largest} components; some components will coincide`,
    );
  const ws = await openWorkspace(train, { components: largest, covariance, memory: memory / 2, threads, signal });
  try {
    const score = (mixture: Mixture): Promise<Float32Array> => scoreRows(ws, mixture, heldout, settings, signal);
    const one = await fitMixture(ws, { ...fitOptions(settings, 1, 0), restarts: 1 });
    const oneLogs = await score(one.mixture);
    const results: SpaceResult[] = [];
    let former: Mixture | undefined;
    for (const count of components) {
      const fits: Scored[] = [];
      for (let repeat = 0; repeat < settings.repeats; repeat++) {
        const grown = settings.grow && former ? splitHeaviest(former, count) : undefined;
        const fit = await fitted(
          { ws, train, memory: memory / 4, threads },
          { space, control, components: count, repeat, algorithm },
          { ...fitOptions(settings, count, repeat), ...(grown && { start: grown }) },
          context,
        );
        const logs = await score(fit.mixture);
        fits.push({
          fit,
          train: -fit.logLikelihood,
          trainGain: fit.logLikelihood - one.logLikelihood,
          nlls: logs.map(value => -value),
          gains: logs.map((value, row) => value - oneLogs[row]),
        });
      }
      fits.sort((a, b) => a.train - b.train);
      former = fits[0].fit.mixture;
      results.push({
        space,
        control,
        components: count,
        trainRows: train.rows,
        heldoutRows: heldout?.rows ?? 0,
        fits,
        ...(settings.modes && control === 'none' && { merges: mergeTree(await confusion(ws, former), count) }),
      });
    }
    return results;
  } finally {
    await ws.close();
  }
}

interface FitOf {
  space: Space;
  control: Control;
  components: number;
  repeat: number;
  algorithm: Algorithm;
}

const stateName = ({ space: { source, fold }, control, components, repeat }: FitOf): string =>
  `${source.replace(/[^\w.-]/g, '_')}-fold${fold}-${control}-k${components}-repeat${repeat}`;

/** Name of a fit in progress bars and warnings. */
function labelOf(components: number, { space: { source }, control, repeat }: FitOf): string {
  const of = control === 'none' ? source : `${source} (${control})`;
  return `${of}, ${components} ${components === 1 ? 'component' : 'components'}${repeat > 0 ? `, repeat ${repeat}` : ''}`;
}

function fitOptions({ start, initial, ...rest }: Settings, components: number, repeat: number) {
  const { restarts, regCovar, tol, maxIter, seed } = rest;
  const given = components > 1 || initial?.mixture.components === 1 ? initial?.mixture : undefined;
  return { components, start: given ?? start, restarts, regCovar, tol, maxIter, seed: seed + repeat };
}

/** A fit, or what the state folder has of it. */
async function fitted(
  rows: FitContext,
  what: FitOf,
  options: FitOptions,
  { log, signal, state = noState }: GmmContext,
): Promise<Fit> {
  const name = stateName(what);
  const label = labelOf(options.components, what);
  const done = await state.finished(name);
  if (done) return reported(done, label, log);
  const progress = log.progress(label, options.maxIter, 'iterations');
  const resume = await state.running(name);
  if (resume) log.note(`${label}: resumes after iteration ${resume.lowerBounds.length}`);
  const fit = await FITS[what.algorithm](rows, {
    ...options,
    resume,
    onIteration: async (current, { iteration, lowerBound }) => {
      progress.update(iteration, `nll ${(-lowerBound).toFixed(4)}`);
      if (current) await state.save(name, current, signal?.aborted);
      signal?.throwIfAborted();
    },
  });
  progress.stop();
  await state.finish(name, fit);
  return reported(fit, label, log);
}

/** Says what was wrong with a fit, whether it was made just now or is taken from the state folder. */
function reported(fit: Fit, label: string, log: Log): Fit {
  const { converged, iterations, reseeded, falls } = fit;
  if (!converged)
    log.warn(`${label}: not converged after ${iterations} iterations, as noted in its row; allow more with --max-iter`);
  if (reseeded > 0) log.note(`${label}: ${reseeded} collapsed components were reinitialised`);
  if (falls > 0)
    log.warn(
      `${label}: the likelihood fell in ${falls} iterations: covariances are nearly singular, as when a component has fewer distinct rows than dimensions; a larger --reg-covar, fewer components or fewer --dims help`,
    );
  return fit;
}

/** log p of the held-out rows, or of the training rows where none are held out. */
async function scoreRows(
  ws: Workspace,
  mixture: Mixture,
  heldout: RowSource | undefined,
  { memory, threads }: Settings,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  if (heldout) return (await logDensities(mixture, heldout, { memory: memory / 4, threads, signal })).logs;
  return (await scoreWorkspace(ws, mixture)).logs;
}

/** Folds of one source are one row; the others one each. */
function report(results: SpaceResult[], settings: Settings): GmmReport {
  const groups = new Map<string, SpaceResult[]>();
  for (const result of results) {
    const key = [result.space.source, result.control, result.components].join('\n');
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  const rows: GmmRow[] = [];
  const fits: FittedMixture[] = [];
  for (const folds of groups.values()) {
    const fitted = fittedMixture(folds, settings);
    rows.push(rowOf(folds, fitted, settings));
    if (folds[0].control === 'none') fits.push(fitted);
  }
  return { rows, fits };
}

function fittedMixture(folds: SpaceResult[], { floorTimes, modes, repeats, seed }: Settings): FittedMixture {
  const [{ space, components, control, fits, merges }] = folds;
  const { mixture } = fits[0].fit;
  const across = (pick: (scored: Scored) => Float32Array): Float32Array[] =>
    Array.from({ length: repeats }, (_, repeat) => concatenated(folds.map(fold => pick(fold.fits[repeat]))));
  return {
    source: space.source,
    components,
    space,
    fit: fits[0].fit,
    nlls: across(({ nlls }) => nlls),
    gains: across(({ gains }) => gains),
    statistics: componentStatistics(mixture),
    ...(merges && { merges }),
    ...(control === 'none' && floorTimes && { floor: diffusionFloor(mixture, { times: floorTimes, seed }) }),
    ...(control === 'none' && modes && { modeOf: findModes(mixture).modeOf }),
  };
}

function concatenated(parts: Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function rowOf(folds: SpaceResult[], { nlls, gains, statistics, modeOf }: FittedMixture, settings: Settings): GmmRow {
  const [{ space, control, components, fits }] = folds;
  const { fit } = fits[0];
  const { dims } = fit.mixture;
  const all = folds.flatMap(fold => fold.fits);
  const mean = (pick: (scored: Scored) => number): number => all.reduce((sum, one) => sum + pick(one), 0) / all.length;
  const random = new RandomNumbers(settings.seed).for('bootstrap');
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
    algorithm: settings.algorithm ?? 'em',
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

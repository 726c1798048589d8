import { EXIT, RandomNumbers, UserError } from '../base/index.js';
import { assignRows, leastLikely, totalLog } from './kmeans.js';
import type { Mixture } from './mixture.js';
import { emptyModel, exportMixture, install, update, type Model } from './model.js';
import type { Start } from './names.js';
import type { Workspace } from './workspace.js';

export interface FitOptions {
  components: number;
  /** How rows are first divided, or the mixture to start from. */
  start: Start | Mixture;
  restarts: number;
  /** Added to every variance. */
  regCovar: number;
  /** Converged once the mean log-likelihood changes by less. */
  tol: number;
  maxIter: number;
  seed: number;
  /** State of an earlier run of the same fit, to resume. */
  resume?: FitState | undefined;
  /** Called after each M-step. */
  onIteration?:
    ((state: () => FitState, progress: { iteration: number; lowerBound: number }) => Promise<void> | void) | undefined;
}

export interface Fit {
  mixture: Mixture;
  converged: boolean;
  iterations: number;
  /** Mean log-likelihood of the rows under the parameters before each M-step. */
  lowerBounds: number[];
  /** Mean log-likelihood of the rows under `mixture`. */
  logLikelihood: number;
  /** Which restart won. */
  restart: number;
  /** Components that collapsed on the way and were reinitialised. */
  reseeded: number;
  /** Iterations at which the lower bound fell by more than rounding and re-seeding explain. */
  falls: number;
  /** Sum of the weights before they were normalised, for fits that leave them unconstrained. */
  weightSum?: number | undefined;
}

/** Everything that a fit needs to resume. */
export interface FitState {
  restart: number;
  mixture: Mixture;
  lowerBounds: number[];
  reseeded: number;
  falls: number;
  /** The best of the restarts that are done. */
  best?: Fit;
}

/** Falls of the bound up to this share of it are rounding in single precision. */
const ROUNDING = 2e-6;
/** Iterations that gain nothing, one of them a fall, after which only rounding is left. */
const PATIENCE = 6;

/**
 * Expectation–maximisation as scikit-learn's GaussianMixture does it: the same steps, stopping rule and choice among
 * restarts. @throws UserError for more components than rows, or where no component keeps a definite covariance.
 */
export async function fitMixture(ws: Workspace, options: FitOptions): Promise<Fit> {
  const { components, restarts, seed, resume } = options;
  if (components > ws.rows)
    throw new UserError(`${components} components need at least as many rows; there are ${ws.rows}`, EXIT.failed);
  const total = ws.layout.covariance === 'tied' ? await totalScatter(ws) : undefined;
  let best = resume?.best;
  for (let restart = resume?.restart ?? 0; restart < restarts; restart++) {
    const from = restart === resume?.restart ? resume : undefined;
    const random = new RandomNumbers(seed).for('mixture').at(restart, components);
    const fit = await fitOnce(ws, options, restart, random, from, total, best);
    if (!best || fit.lowerBounds.at(-1)! > best.lowerBounds.at(-1)!) best = fit;
  }
  return best!;
}

async function fitOnce(
  ws: Workspace,
  options: FitOptions,
  restart: number,
  random: RandomNumbers,
  from: FitState | undefined,
  total: Model['total'],
  best: Fit | undefined,
): Promise<Fit> {
  const { components, regCovar, tol, maxIter } = options;
  let reseeded = from?.reseeded ?? 0;
  let falls = from?.falls ?? 0;
  const lowerBounds = from?.lowerBounds.slice() ?? [];
  const settle = async (model: Model, collapsed: number[]): Promise<Model> => {
    if (collapsed.length === 0) return model;
    reseeded += collapsed.length;
    return { ...(await reseed(ws, model, collapsed)), total };
  };
  let model = await settle(...(await begin(ws, options, random, from, total)));
  let converged = false;
  let excused = false;
  // The first bound that may be compared with later ones: reinitialisation restarts the sequence.
  let since = lowerBounds.length;
  while (lowerBounds.length < maxIter && !converged) {
    const bound = await expectation(ws, components);
    const former = lowerBounds.at(-1) ?? -Infinity;
    if (bound < former - ROUNDING * Math.abs(former) && !excused) falls++;
    lowerBounds.push(bound);
    await ws.pass(components, ['maximise+']);
    const { collapsed } = await update(ws, model, { regularisation: regCovar, bounded: true });
    model = await settle(model, collapsed);
    excused = collapsed.length > 0;
    if (excused) since = lowerBounds.length;
    converged = Math.abs(bound - former) < tol || hasLevelledOff(lowerBounds.slice(since), tol);
    const state = (): FitState => ({
      restart,
      mixture: exportMixture(ws, model),
      lowerBounds: lowerBounds.slice(),
      reseeded,
      falls,
      ...(best && { best }),
    });
    await options.onIteration?.(state, { iteration: lowerBounds.length, lowerBound: bound });
  }
  const logLikelihood = await expectation(ws, components);
  const mixture = exportMixture(ws, model);
  return { mixture, converged, iterations: lowerBounds.length, lowerBounds, logLikelihood, restart, reseeded, falls };
}

/**
 * Exact steps never fall. Where some did and the last few led no higher than those before, covariances are so close to
 * singular (duplicated rows make them so) that single precision moves the bound about by more than there is to gain.
 */
function hasLevelledOff(bounds: number[], tol: number): boolean {
  if (bounds.length <= PATIENCE) return false;
  const last = bounds.slice(-PATIENCE);
  const fell = last.some((bound, i) => i > 0 && bound < last[i - 1]);
  return fell && Math.max(...last) < Math.max(...bounds.slice(0, -PATIENCE)) + tol;
}

/** One E-step; the mean log-likelihood. */
export async function expectation(ws: Workspace, components: number): Promise<number> {
  await ws.pass(components, ws.layout.covariance === 'tied' ? ['whiten', 'expect'] : ['expect']);
  const mean = totalLog(ws) / ws.rows;
  if (!Number.isFinite(mean))
    throw new UserError(
      'the likelihood is NaN: a component has collapsed; give fewer components or a larger --reg-covar',
      EXIT.failed,
    );
  return mean;
}

/** The first mixture: what the rows' division among components gives, or one that is there already. */
export async function begin(
  ws: Workspace,
  { components, start, regCovar }: FitOptions,
  random: RandomNumbers,
  from: FitState | undefined,
  total: Model['total'],
): Promise<[Model, number[]]> {
  const given = from?.mixture ?? (typeof start === 'string' ? undefined : start);
  if (given) {
    const { model, collapsed } = await install(ws, given);
    return [{ ...model, ...(total && { total }) }, collapsed];
  }
  const { f32, layout } = ws;
  await assignRows(ws, components, start as Start, random);
  await ws.pass(components, ['gather+']);
  for (let k = 0; k < (layout.covariance === 'full' ? components : 1); k++) {
    const at = layout.directions / 4 + k * layout.width;
    f32.fill(1 / Math.sqrt(layout.dims), at, at + layout.dims);
  }
  const model = { ...emptyModel(ws, components), ...(total && { total }) };
  const { collapsed } = await update(ws, model, { regularisation: regCovar, bounded: false });
  return [model, collapsed];
}

/** Σ (x − m)(x − m)ᵀ over all rows, which tied covariances are a part of in every iteration. */
async function totalScatter(ws: Workspace): Promise<Model['total']> {
  const { f32, f64, i32, layout, rows } = ws;
  const { dims, width } = layout;
  i32.fill(0, layout.best / 4, layout.best / 4 + rows);
  f32.fill(0, layout.means / 4, layout.means / 4 + width);
  await ws.pass(1, ['scatter+']);
  const mean = new Float64Array(dims);
  for (let j = 0; j < dims; j++) f32[layout.means / 4 + j] = f64[layout.sums / 8 + j] / rows;
  // Once more about the mean itself, so that nothing cancels.
  await ws.pass(1, ['scatter+']);
  const rest = Float64Array.from({ length: dims }, (_, j) => f64[layout.sums / 8 + j] / rows);
  for (let j = 0; j < dims; j++) mean[j] = f32[layout.means / 4 + j] + rest[j];
  const scatter = new Float64Array(dims * dims);
  for (let i = 0; i < dims; i++)
    for (let j = 0; j <= i; j++) {
      const value = f64[layout.scatter / 8 + i * width + j] - rows * rest[i] * rest[j];
      scatter[i * dims + j] = scatter[j * dims + i] = value;
    }
  return { scatter, mean, rows };
}

/** Reinitialises collapsed components at the least likely rows, as wide as the others are on average. */
export async function reseed(ws: Workspace, model: Model, collapsed: number[]): Promise<Model> {
  const { dims, covariance, logDensity } = ws.layout;
  const { components } = model;
  if (collapsed.length === components)
    throw new UserError(
      'no component has a positive definite covariance: the data may not vary; give fewer components or a larger --reg-covar',
      EXIT.failed,
    );
  const mixture = exportMixture(ws, model);
  const healthy = Array.from({ length: components }, (_, k) => k).filter(k => !collapsed.includes(k));
  const logs = ws.f32.subarray(logDensity / 4, logDensity / 4 + ws.rows);
  const rows = await ws.rowsAt(leastLikely(logs, collapsed.length));
  const size = covariance === 'tied' ? 0 : mixture.covariances.length / components;
  const typical = new Float64Array(size);
  for (const k of healthy)
    for (let i = 0; i < size; i++) typical[i] += mixture.covariances[k * size + i] / healthy.length;
  collapsed.forEach((k, i) => {
    mixture.means.set(rows.subarray(i * dims, (i + 1) * dims), k * dims);
    mixture.covariances.set(typical, k * size);
    mixture.weights[k] = 1 / components;
  });
  const sum = mixture.weights.reduce((a, b) => a + b, 0);
  mixture.weights = mixture.weights.map(weight => weight / sum);
  return (await install(ws, mixture)).model;
}

import { EXIT, RandomNumbers, UserError } from '../base/index.js';
import { randomWindows, type RowSource, type Windows } from '../rows/index.js';
import { begin, expectation, reseed, type Fit, type FitOptions, type FitState } from './fit.js';
import type { Mixture } from './mixture.js';
import { exportMixture, install } from './model.js';
import type { CovarianceType } from './names.js';
import { openWorkspace, type Workspace, type WorkspaceOptions } from './workspace.js';

export type StepwiseOptions = FitOptions & WorkspaceOptions & { memory: number; threads: number };

/** Step t gives a batch's statistics this weight: between t⁻¹, which forgets nothing, and t⁻½, the least that converges. */
const stepSize = (t: number): number => (t + 2) ** -0.6;
/** Batches in a pass, where there are rows enough. */
const STEPS = 64;

/**
 * Stepwise expectation–maximisation (Cappé & Moulines 2009): an M-step after every batch of rows, from running averages
 * of the sufficient statistics. An approximation: it nears what `fitMixture` finds in a few passes instead of many, and
 * holds one batch in memory. `iterations` are passes; `lowerBounds` and `logLikelihood` are means over a pass while the
 * parameters moved.
 * @throws UserError for tied covariances, and for more components than a batch has rows.
 */
export async function fitStepwise(source: RowSource, options: StepwiseOptions): Promise<Fit> {
  const { components, covariance, restarts, seed, resume } = options;
  if (covariance === 'tied')
    throw new UserError('stepwise EM fits full, diag and spherical covariances; give one of them, or --algorithm em');
  const random = new RandomNumbers(seed).for('stepwise');
  const windows = randomWindows(source, batchRows(source, options), random.for('order'));
  if (components > windows.rows.rows)
    throw new UserError(
      `${components} components need at least as many rows; a batch has ${windows.rows.rows}`,
      EXIT.failed,
    );
  const ws = await openWorkspace(windows.rows, options);
  try {
    let best = resume?.best;
    for (let restart = resume?.restart ?? 0; restart < restarts; restart++) {
      const from = restart === resume?.restart ? resume : undefined;
      const fit = await fitOnce(ws, windows, options, { restart, from, best, random: random.at(restart, components) });
      if (!best || fit.logLikelihood > best.logLikelihood) best = fit;
    }
    return best!;
  } finally {
    await ws.close();
  }
}

/**
 * Two rows for every number of a component's mean: an early step, which weighs most, otherwise leaves covariances flat
 * in some direction, and the fit never gets over it. Within an eighth of the memory.
 */
function batchRows({ rows, width }: RowSource, { components, covariance, memory }: StepwiseOptions): number {
  const each = Math.max(50, covariance === 'full' ? 2 * width : 0);
  const most = Math.max(components, Math.floor(memory / 8 / (4 * width)));
  return Math.min(rows, most, Math.ceil(Math.max(each * components, rows / STEPS)));
}

interface Run {
  restart: number;
  from: FitState | undefined;
  best: Fit | undefined;
  random: RandomNumbers;
}

async function fitOnce(ws: Workspace, windows: Windows, options: FitOptions, run: Run): Promise<Fit> {
  const { components, regCovar, tol, maxIter } = options;
  const { restart, from, best, random } = run;
  const lowerBounds = from?.lowerBounds.slice() ?? [];
  let reseeded = from?.reseeded ?? 0;
  const load = async (pass: number, batch: number): Promise<void> => {
    await windows.load(pass, batch);
    ws.reload();
  };
  await load(restart, 0);
  let mixture = from?.mixture ?? (await startingMixture(ws, options, random));
  await install(ws, mixture);
  let converged = false;
  while (lowerBounds.length < maxIter && !converged) {
    const pass = lowerBounds.length;
    let total = 0;
    for (let batch = 0; batch < windows.perPass; batch++) {
      await load(pass, batch);
      total += await expectation(ws, components);
      await ws.pass(components, ['maximise+']);
      mixture = blended(ws, mixture, stepSize(pass * windows.perPass + batch), regCovar);
      const { model, collapsed } = await install(ws, mixture);
      if (collapsed.length === 0) continue;
      reseeded += collapsed.length;
      mixture = exportMixture(ws, await reseed(ws, model, collapsed));
    }
    const bound = total / windows.perPass;
    converged = Math.abs(bound - (lowerBounds.at(-1) ?? -Infinity)) < tol;
    lowerBounds.push(bound);
    const state = { restart, mixture, lowerBounds: lowerBounds.slice(), reseeded, falls: 0, ...(best && { best }) };
    await options.onIteration?.(() => state, { iteration: lowerBounds.length, lowerBound: bound });
  }
  const logLikelihood = lowerBounds.at(-1)!;
  return {
    mixture,
    converged,
    iterations: lowerBounds.length,
    lowerBounds,
    logLikelihood,
    restart,
    reseeded,
    falls: 0,
  };
}

/** The initial mixture of `fitMixture` for this batch alone; covariances of few rows are shrunk towards the within-component one. */
async function startingMixture(ws: Workspace, options: FitOptions, random: RandomNumbers): Promise<Mixture> {
  if (typeof options.start !== 'string') return options.start;
  const [model] = await begin(ws, options, random, undefined, undefined);
  return leaning(exportMixture(ws, model), ws.rows);
}

/** Every covariance as if `dims` more rows of its component varied as all do within theirs. */
function leaning(mixture: Mixture, rows: number): Mixture {
  const { components, dims, weights } = mixture;
  const covariances = mixture.covariances.slice();
  const size = covariances.length / components;
  const within = new Float64Array(size);
  for (let k = 0; k < components; k++)
    for (let i = 0; i < size; i++) within[i] += weights[k] * covariances[k * size + i];
  for (let k = 0; k < components; k++) {
    const share = dims / (dims + rows * weights[k]);
    for (let i = k * size; i < (k + 1) * size; i++)
      covariances[i] = (1 - share) * covariances[i] + share * within[i - k * size];
  }
  return { ...mixture, covariances };
}

/**
 * The mixture whose sufficient statistics are (1 − γ) times the former ones' and γ times those of the sums at hand. In
 * terms of weights, means and covariances nothing cancels, and what regularisation adds stays as it is.
 */
function blended(ws: Workspace, former: Mixture, gamma: number, regularisation: number): Mixture {
  const { f64, layout } = ws;
  const { covarianceType, components, dims } = former;
  const weights = former.weights.slice();
  const means = former.means.slice();
  const covariances = former.covariances.slice();
  const blend = BLENDS[covarianceType as keyof typeof BLENDS];
  const size = covariances.length / components;
  const offset = new Float64Array(dims);
  const shift = new Float64Array(dims);
  for (let k = 0; k < components; k++) {
    const count = f64[layout.counts / 8 + k];
    weights[k] = (1 - gamma) * former.weights[k] + (gamma * count) / ws.rows;
    if (!(count > 0)) continue;
    const share = (gamma * count) / ws.rows / weights[k];
    for (let j = 0; j < dims; j++) {
      const at = k * layout.width + j;
      shift[j] = f64[layout.sums / 8 + at] / count;
      offset[j] = ws.f32[layout.means / 4 + at] + shift[j] - former.means[k * dims + j];
      means[k * dims + j] += share * offset[j];
    }
    const covariance = covariances.subarray(k * size, (k + 1) * size);
    blend(ws, k, covariance, { count, share, shift, offset, regularisation });
  }
  return { covarianceType, components, dims, weights, means, covariances };
}

interface Batch {
  count: number;
  /** The batch's part of the blend. */
  share: number;
  /** Its mean less what its sums are centred at, and less the former mean. */
  shift: Float64Array;
  offset: Float64Array;
  regularisation: number;
}

type Blend = (ws: Workspace, k: number, covariance: Float64Array, batch: Batch) => void;

const BLENDS: Record<Exclude<CovarianceType, 'tied'>, Blend> = {
  full: ({ f64, layout }, k, covariance, { count, share, shift, offset, regularisation }) => {
    const { dims, width } = layout;
    const scatter = layout.scatter / 8 + k * width * width;
    const between = share * (1 - share);
    for (let i = 0; i < dims; i++)
      for (let j = 0; j <= i; j++) {
        const own = f64[scatter + i * width + j] / count - shift[i] * shift[j] + (i === j ? regularisation : 0);
        const value = (1 - share) * covariance[i * dims + j] + share * own + between * offset[i] * offset[j];
        covariance[i * dims + j] = covariance[j * dims + i] = value;
      }
  },
  diag: (ws, k, covariance, batch) => {
    for (let j = 0; j < covariance.length; j++) covariance[j] = blendedVariance(ws, k, j, covariance[j], batch);
  },
  spherical: (ws, k, covariance, batch) => {
    let sum = 0;
    for (let j = 0; j < ws.layout.dims; j++) sum += blendedVariance(ws, k, j, covariance[0], batch);
    covariance[0] = sum / ws.layout.dims;
  },
};

function blendedVariance(
  { f64, layout }: Workspace,
  k: number,
  j: number,
  former: number,
  { count, share, shift, offset, regularisation }: Batch,
): number {
  const own = f64[layout.scatter / 8 + k * layout.width + j] / count - shift[j] ** 2 + regularisation;
  return (1 - share) * former + share * own + share * (1 - share) * offset[j] ** 2;
}

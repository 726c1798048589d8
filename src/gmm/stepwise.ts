import { EXIT, RandomNumbers, UserError } from '../base/index.js';
import { alone, gatherValues } from '../distributed/index.js';
import { randomWindows, type RowSource, type Windows } from '../rows/index.js';
import { COVARIANCES } from './covariance/index.js';
import { FitError } from './errors.js';
import { PASSES } from './kernels/index.js';
import type { Mixture } from './mixture.js';
import { exportMixture, install } from './model.js';
import { COVARIANCE_TYPES } from './names.js';
import { openWorkspace, type WorkspaceOptions } from './open-workspace.js';
import { bestRestart, type Fit, type FitOptions, type FitRun } from './run.js';
import { rowShare } from './share.js';
import { begin, expectation, reseed } from './steps.js';
import type { Workspace } from './workspace.js';

export type StepwiseOptions = FitOptions & WorkspaceOptions;

/** Step t gives a batch's statistics this weight: between t⁻¹, which forgets nothing, and t⁻½, the least that converges. */
const stepSize = (t: number): number => (t + 2) ** -0.6;
/** Batches in a pass, where there are rows enough. */
const STEPS = 64;

/**
 * Stepwise expectation–maximisation (Cappé & Moulines 2009): an M-step after every batch of rows, from running averages
 * of the sufficient statistics. An approximation: it nears what `fitMixture` finds in a few passes instead of many, and
 * holds one batch in memory, whose rows ranks divide among them. `iterations` are passes; `lowerBounds` and `logLikelihood` are means over a pass while the
 * parameters moved.
 * @param source rows [rows, dims]
 * @throws FitError for a covariance type without a stepwise rule, and as `fitMixture`; UserError for more components than
 * a batch has rows.
 */
export async function fitStepwise(source: RowSource, options: StepwiseOptions): Promise<Fit> {
  const { components, covariance, seed } = options;
  if (!COVARIANCES[covariance].stepwise) throw noRule(covariance);
  const random = new RandomNumbers(seed).for('stepwise');
  const { communicator = alone } = options;
  const memory = Math.min(...(await gatherValues(communicator, options.memory)));
  const ranks = { communicator, share: rowShare(communicator, source.rows) };
  const windows = randomWindows(source, batchRows(source, { ...options, memory }), random.for('order'), ranks);
  if (components > windows.rows.rows)
    throw new UserError(
      `${components} components need at least as many rows; a batch has ${windows.rows.rows}`,
      EXIT.failed,
    );
  const ws = await openWorkspace(windows.rows, options);
  try {
    return await bestRestart(options, random, run => fitOnce(ws, windows, options, run));
  } finally {
    await ws.close();
  }
}

function noRule(covariance: StepwiseOptions['covariance']): FitError {
  const allowed = COVARIANCE_TYPES.filter(type => COVARIANCES[type].stepwise);
  const names = new Intl.ListFormat('en-GB').format(allowed);
  return new FitError(`stepwise EM fits ${names} covariances`, { kind: 'covariance', covariance, allowed }, EXIT.usage);
}

/**
 * Rows of a step, within an eighth of the memory: two for every number of a component's mean. An early step, which
 * weighs most, otherwise leaves covariances flat in some direction, and the fit never gets over it.
 */
export function batchRows(
  { rows, width }: Pick<RowSource, 'rows' | 'width'>,
  { components, covariance, memory }: Pick<StepwiseOptions, 'components' | 'covariance' | 'memory'>,
): number {
  const each = Math.max(50, COVARIANCES[covariance].stepwise?.leastRows(width) ?? 0);
  const most = Math.max(components, Math.floor(memory / 8 / (4 * width)));
  return Math.min(rows, most, Math.ceil(Math.max(each * components, rows / STEPS)));
}

async function fitOnce(ws: Workspace, windows: Windows, options: FitOptions, run: FitRun): Promise<Fit> {
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
      await ws.pass(components, [PASSES.maximise]);
      mixture = blended(ws, mixture, stepSize(pass * windows.perPass + batch), regCovar);
      const { model, collapsed } = await install(ws, mixture);
      if (collapsed.length === 0) continue;
      reseeded += collapsed.length;
      mixture = exportMixture(ws, await reseed(ws, model, collapsed));
    }
    const bound = total / windows.perPass;
    converged = Math.abs(bound - (lowerBounds.at(-1) ?? -Infinity)) < tol;
    lowerBounds.push(bound);
    const state = { restart, mixture, lowerBounds: lowerBounds.slice(), reseeded, falls: 0, best };
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
  const { model } = await begin(ws, options, { random, from: undefined });
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
  const { width, covariance: type } = ws.layout;
  const rule = COVARIANCES[type].stepwise!;
  const { covarianceType, components, dims } = former;
  const weights = former.weights.slice();
  const means = former.means.slice();
  const covariances = former.covariances.slice();
  const size = covariances.length / components;
  const offset = new Float64Array(dims);
  const shift = new Float64Array(dims);
  for (let k = 0; k < components; k++) {
    const count = ws.counts[k];
    weights[k] = (1 - gamma) * former.weights[k] + (gamma * count) / ws.rows;
    if (!(count > 0)) continue;
    const share = (gamma * count) / ws.rows / weights[k];
    for (let j = 0; j < dims; j++) {
      const at = k * width + j;
      shift[j] = ws.sums[at] / count;
      offset[j] = ws.means[at] + shift[j] - former.means[k * dims + j];
      means[k * dims + j] += share * offset[j];
    }
    const covariance = covariances.subarray(k * size, (k + 1) * size);
    rule.blend(ws, k, covariance, { count, share, shift, offset, regularisation });
  }
  return { covarianceType, components, dims, weights, means, covariances };
}

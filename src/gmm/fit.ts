import { EXIT, RandomNumbers, UserError } from '../base/index.js';
import { COVARIANCES } from './covariance/index.js';
import type { FitStep, WorkingMixture } from './mixture.js';
import { exportMixture } from './model.js';
import { bestRestart, type Fit, type FitOptions, type FitRun, type FitState } from './run.js';
import { begin, expectation, maximisation, reseed } from './steps.js';
import type { Workspace } from './workspace.js';

/** Falls of the bound up to this share of it are rounding in single precision. */
const ROUNDING = 2e-6;
/** Iterations that gain nothing, one of them a fall, after which only rounding is left. */
const PATIENCE = 6;

/**
 * Expectation–maximisation as scikit-learn's GaussianMixture does it: the same steps, stopping rule and choice among
 * restarts (Dempster, Laird & Rubin 1977). @throws UserError for more components than rows; FitError where no component
 * keeps a definite covariance.
 */
export async function fitMixture(ws: Workspace, options: FitOptions): Promise<Fit> {
  const { components, seed } = options;
  if (components > ws.rows)
    throw new UserError(`${components} components need at least as many rows; there are ${ws.rows}`, EXIT.failed);
  const total = await COVARIANCES[ws.layout.covariance].total?.(ws);
  const random = new RandomNumbers(seed).for('mixture');
  return await bestRestart(options, random, run => fitOnce(ws, options, { ...run, total }));
}

/** E-step and M-step in turn until the bound has settled. */
async function fitOnce(ws: Workspace, options: FitOptions, run: FitRun): Promise<Fit> {
  const { components, regCovar: regularisation, tol, maxIter } = options;
  const { restart, from, best, total } = run;
  const lowerBounds = from?.lowerBounds.slice() ?? [];
  let { reseeded, falls } = from ?? { reseeded: 0, falls: 0 };
  const recovered = async ({ model, collapsed }: FitStep): Promise<WorkingMixture> => {
    reseeded += collapsed.length;
    return collapsed.length > 0 ? await reseed(ws, model, collapsed) : model;
  };
  let model = await recovered(await begin(ws, options, run));
  let converged = false;
  let excused = false;
  // The first bound that later ones may be compared with: reinitialisation restarts the sequence.
  let since = lowerBounds.length;
  while (lowerBounds.length < maxIter && !converged) {
    const bound = await expectation(ws, components);
    const former = lowerBounds.at(-1) ?? -Infinity;
    if (bound < former - ROUNDING * Math.abs(former) && !excused) falls++;
    lowerBounds.push(bound);
    const step = await maximisation(ws, model, { regularisation, bounded: true, total });
    model = await recovered(step);
    excused = step.collapsed.length > 0;
    if (excused) since = lowerBounds.length;
    converged = Math.abs(bound - former) < tol || hasLevelledOff(lowerBounds.slice(since), tol);
    const state = (): FitState => ({
      restart,
      mixture: exportMixture(ws, model),
      lowerBounds: lowerBounds.slice(),
      reseeded,
      falls,
      best,
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

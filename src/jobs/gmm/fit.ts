import type { Log } from '../../base/index.js';
import { alone, anyOf } from '../../distributed/index.js';
import type { Algorithm, Fit, FitOptions, NullControl } from '../../gmm/index.js';
import { FITS, type FitContext } from './algorithms.js';
import type { GmmContext, SweepSettings } from './settings.js';
import type { AnalysedSpace } from './space.js';
import { noState } from './state.js';

/** Thrown by every rank once one is interrupted and the state is saved. */
export class Stopped extends Error {}

/** Which of a sweep's fits one is. */
export interface FitOf {
  space: AnalysedSpace;
  control: NullControl;
  components: number;
  repeat: number;
  algorithm: Algorithm;
}

/** Name of a fit in the state folder. */
const stateName = ({ space: { source, fold }, control, components, repeat }: FitOf): string =>
  `${source.replace(/[^\w.-]/g, '_')}-fold${fold}-${control}-k${components}-repeat${repeat}`;

/** Name of a fit in progress bars and warnings. */
function labelOf({ space: { source }, control, components, repeat }: FitOf): string {
  const of = control === 'none' ? source : `${source} (${control})`;
  return `${of}, ${components} ${components === 1 ? 'component' : 'components'}${repeat > 0 ? `, repeat ${repeat}` : ''}`;
}

/** The options of one fit of a sweep; a single Gaussian starts from the initial mixture only if that is one too. */
export function fitOptions(settings: SweepSettings, components: number, repeat: number) {
  const { start, initial, restarts, regCovar, tol, maxIter, seed } = settings;
  const given = components > 1 || initial?.mixture.components === 1 ? initial?.mixture : undefined;
  return { components, start: given ?? start, restarts, regCovar, tol, maxIter, seed: seed + repeat };
}

/** A fit, with its progress; taken from the state folder or resumed where that has it. */
export async function resumableFit(
  rows: FitContext,
  what: FitOf,
  options: FitOptions,
  { log, signal, state = noState, communicator = alone }: GmmContext,
): Promise<Fit> {
  const name = stateName(what);
  const label = labelOf(what);
  const done = await state.finished(name);
  if (done) {
    log.reused(`${label}: fitted before`);
    return reported(done, label, log);
  }
  const progress = log.progress(label, options.maxIter, 'iterations');
  const resume = await state.running(name);
  if (resume) log.reused(`${label}: resumes after iteration ${resume.lowerBounds.length}`);
  const fit = await FITS[what.algorithm](rows, {
    ...options,
    resume,
    onIteration: async (current, { iteration, lowerBound }) => {
      progress.update(iteration, `nll ${(-lowerBound).toFixed(4)}`);
      // Ranks hear of an interruption at different times, and must stop after the same iteration.
      const stop = await anyOf(communicator, signal?.aborted === true);
      if (current) await state.save(name, current, stop);
      if (stop) throw new Stopped();
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

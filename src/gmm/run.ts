import type { RandomNumbers } from '../base/index.js';
import type { TotalScatter } from './covariance/index.js';
import type { Mixture } from './mixture.js';
import type { StartMethod } from './names.js';

export interface FitOptions {
  components: number;
  /** How rows are first divided, or the mixture to start from. */
  start: StartMethod | Mixture;
  restarts: number;
  /** Added to every variance. */
  regCovar: number;
  /** Converged once the mean log-likelihood changes by less, in nats per row. */
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
  /** Mean log-likelihood of the rows under the parameters before each M-step, in nats per row. */
  lowerBounds: number[];
  /** Mean log-likelihood of the rows under `mixture`, in nats per row. */
  logLikelihood: number;
  /** Which restart won. */
  restart: number;
  /** Components that collapsed on the way and were reinitialised. */
  reseeded: number;
  /** Iterations at which the lower bound fell by more than rounding and reinitialisation explain. */
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
  best?: Fit | undefined;
}

/** One restart of a fit. */
export interface FitRun {
  restart: number;
  /** Its own random numbers. */
  random: RandomNumbers;
  /** Its state when it was interrupted. */
  from: FitState | undefined;
  /** The best of the restarts before. */
  best: Fit | undefined;
  total?: TotalScatter | undefined;
}

/** Runs the restarts, resuming an earlier run; gives the fit whose last bound is highest. */
export async function bestRestart(
  { components, restarts, resume }: FitOptions,
  random: RandomNumbers,
  fit: (run: FitRun) => Promise<Fit>,
): Promise<Fit> {
  let best = resume?.best;
  for (let restart = resume?.restart ?? 0; restart < restarts; restart++) {
    const from = restart === resume?.restart ? resume : undefined;
    const found = await fit({ restart, random: random.at(restart, components), from, best });
    if (!best || found.lowerBounds.at(-1)! > best.lowerBounds.at(-1)!) best = found;
  }
  return best!;
}

import {
  fitMixture,
  fitOfficial,
  fitStepwise,
  scoreWorkspace,
  type Algorithm,
  type Fit,
  type FitOptions,
  type FitState,
  type Workspace,
} from '../../gmm/index.js';
import { rowsInMemory, type RowSource } from '../../rows/index.js';

export interface FitContext {
  ws: Workspace;
  /** The rows of the workspace. */
  train: RowSource;
  /** Bytes. */
  memory: number;
  threads: number;
}

export interface AlgorithmOptions extends Omit<FitOptions, 'onIteration'> {
  /** Called after each pass, with the state of the fit if it can be resumed. */
  onIteration: (
    state: (() => FitState) | undefined,
    progress: { iteration: number; lowerBound: number },
  ) => Promise<void> | void;
}

/** Fits one mixture. `adam` cannot resume and starts again, with the same result; its batches are too small to be divided among ranks. */
export const FITS: Record<Algorithm, (context: FitContext, options: AlgorithmOptions) => Promise<Fit>> = {
  em: ({ ws }, options) => fitMixture(ws, options),
  stepwise: async ({ ws, train, memory, threads }, options) => {
    const { layout, communicator } = ws;
    const { covariance } = layout;
    const fit = await fitStepwise(train, { ...options, covariance, memory, threads, communicator });
    return { ...fit, logLikelihood: (await scoreWorkspace(ws, fit.mixture)).mean };
  },
  adam: async ({ train, memory }, { components, maxIter, tol, seed, ...rest }) => {
    const data = await rowsInMemory(train, { what: '--compat official', copies: 1, memory });
    return await fitOfficial(data, train.width, {
      components,
      epochs: maxIter,
      tol,
      seed,
      onEpoch: (iteration, lowerBound) => rest.onIteration(undefined, { iteration, lowerBound }),
    });
  },
};

import { fitMixture, openWorkspace, saveMixture, type FitOptions } from '../../src/gmm/index.js';
import type { RowSource } from '../../src/io/index.js';

/** Bytes that a fit here may use. */
export const MEMORY = 3 * 2 ** 30;
/** scikit-learn's defaults. */
export const DEFAULTS: Omit<FitOptions, 'components'> = {
  start: 'kmeans',
  restarts: 1,
  regCovar: 1e-6,
  tol: 1e-3,
  maxIter: 100,
  seed: 0,
};

/** Saves a start for both sides: one M-step from k-means++ centres. */
export async function writeStart(path: string, rows: RowSource, components: number, threads: number): Promise<void> {
  const options = { components, covariance: 'full', memory: MEMORY, threads } as const;
  const ws = await openWorkspace(rows, options);
  try {
    const { mixture, logLikelihood } = await fitMixture(ws, {
      ...DEFAULTS,
      components,
      start: 'k-means++',
      maxIter: 0,
    });
    await saveMixture(path, { mixture, converged: false, iterations: 0, lowerBound: logLikelihood }, { force: true });
  } finally {
    await ws.close();
  }
}

import { join } from 'node:path';
import {
  fitMixture,
  loadMixture,
  openWorkspace,
  saveMixture,
  type CovarianceType,
  type Fit,
  type FitOptions,
} from '../../src/gmm/index.js';
import { readNpy } from '../../src/io/index.js';
import { arrayRows, npyRows } from '../../src/rows/index.js';
import type { Place } from './work.js';

/** Bytes that a fit here may use. */
export const MEMORY = 3 * 2 ** 30;
/** scikit-learn's defaults. */
const DEFAULTS: Omit<FitOptions, 'components'> = {
  start: 'kmeans',
  restarts: 1,
  regCovar: 1e-6,
  tol: 1e-3,
  maxIter: 100,
  seed: 0,
};

interface Wanted {
  components: number;
  covariance: CovarianceType;
}

/** Saves a start for the rows of rows.npy as start.npz for both sides: one M-step after they were divided. */
export async function writeStart(
  { components, covariance }: Wanted,
  { folder, threads }: Place,
  options: Partial<FitOptions> = {},
) {
  const rows = await npyRows(join(folder, 'rows.npy'));
  const ws = await openWorkspace(rows, { components, covariance, memory: MEMORY, threads });
  try {
    const { mixture, logLikelihood } = await fitMixture(ws, { ...DEFAULTS, components, ...options, maxIter: 0 });
    await saveMixture(
      join(folder, 'start.npz'),
      { mixture, converged: false, iterations: 0, lowerBound: logLikelihood },
      { force: true },
    );
  } finally {
    await ws.close();
  }
}

/** Fits of rows.npy from start.npz, one per call. */
export async function fitsFromStart(
  { components, covariance }: Wanted,
  { folder, threads }: Place,
  options: Partial<FitOptions> = {},
): Promise<() => Promise<Fit>> {
  const { data, shape } = await readNpy(join(folder, 'rows.npy'));
  const rows = arrayRows('rows', data as Float32Array, shape[0], shape[1]);
  const { mixture } = await loadMixture(join(folder, 'start.npz'));
  return async () => {
    const ws = await openWorkspace(rows, { components, covariance, memory: MEMORY, threads });
    try {
      return await fitMixture(ws, { ...DEFAULTS, components, start: mixture, ...options });
    } finally {
      await ws.close();
    }
  };
}

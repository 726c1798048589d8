import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { readNpz, type NdArray } from '../../src/io/index.js';
import { arrayRows } from '../../src/rows/index.js';
import {
  fitMixture,
  openWorkspace,
  parameterCount,
  type CovarianceType,
  type Fit,
  type Mixture,
} from '../../src/gmm/index.js';
import { covarianceCount } from '../../src/gmm/covariance/index.js';
import { COVARIANCE_TYPES } from '../../src/gmm/names.js';

/** Recorded by fixtures/golden/gmm/record.py from scikit-learn 1.9.1. */
const GOLDEN = fileURLToPath(new URL('../../fixtures/golden/gmm/scikit-learn.npz', import.meta.url));
const [K, D] = [4, 9];

let golden: Record<string, NdArray>;
beforeAll(async () => {
  golden = await readNpz(GOLDEN);
});
const numbers = (name: string): Float64Array => golden[name].data as Float64Array;

function start(covarianceType: CovarianceType): Mixture {
  const covariances = new Float64Array(covarianceCount(covarianceType, K, D));
  const matrices = { full: K, tied: 1, diag: 0, spherical: 0 }[covarianceType];
  // Precisions of ½ in every direction.
  if (matrices === 0) covariances.fill(2);
  else for (let k = 0; k < matrices; k++) for (let i = 0; i < D; i++) covariances[k * D * D + i * D + i] = 2;
  return {
    covarianceType,
    components: K,
    dims: D,
    weights: numbers('start_weights').slice(),
    means: numbers('start_means').slice(),
    covariances,
  };
}

async function fit(covariance: CovarianceType, maxIter: number): Promise<Fit> {
  const rows = golden.rows;
  const source = arrayRows('rows', rows.data as Float32Array, rows.shape[0], D);
  const ws = await openWorkspace(source, { components: K, covariance, memory: 1e9, threads: 1 });
  return await fitMixture(ws, {
    components: K,
    start: start(covariance),
    restarts: 1,
    regCovar: 1e-6,
    tol: 1e-3,
    maxIter,
    seed: 0,
  });
}

describe.each(COVARIANCE_TYPES)('%s covariance, from the same start as scikit-learn', covariance => {
  it.each([1, 3, 100])('is where it is after %i iterations at most', async maxIter => {
    const { mixture, iterations, converged, lowerBounds, logLikelihood } = await fit(covariance, maxIter);
    const name = `${covariance}_${maxIter}`;
    const [expectedIterations, expectedConverged, lowerBound, score, bic, aic] = numbers(`${name}_summary`);
    expect(iterations).toBe(expectedIterations);
    expect(converged).toBe(expectedConverged === 1);
    expect(lowerBounds.at(-1)).toBeCloseTo(lowerBound, 5);
    expect(logLikelihood).toBeCloseTo(score, 5);
    expect(mixture.weights).toBeAllClose(numbers(`${name}_weights`), { atol: 2e-5 });
    expect(mixture.means).toBeAllClose(numbers(`${name}_means`), { atol: 1e-4 });
    expect(mixture.covariances).toBeAllClose(numbers(`${name}_covariances`), { atol: 2e-4 });
    const deviance = -2 * score * golden.rows.shape[0];
    expect(deviance + parameterCount(mixture) * Math.log(golden.rows.shape[0])).toBeCloseTo(bic, 6);
    expect(deviance + parameterCount(mixture) * 2).toBeCloseTo(aic, 6);
  });
});

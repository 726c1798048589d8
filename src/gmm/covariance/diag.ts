import { PASSES } from '../kernels/index.js';
import type { Covariance } from './covariance.js';
import {
  addVarianceKernels,
  blendedVariance,
  centredVariances,
  deviationFactors,
  diagonalMatrix,
  scaleDimensions,
  varianceMemory,
} from './variances.js';

/** A variance for every component and dimension: [components, dims]. */
export const diag: Covariance = {
  shared: false,
  shape: (components, dims) => [components, dims],
  parameters: (components, dims) => components * dims,
  accepts: () => true,

  matrix: (mixture, k) => diagonalMatrix(diag.variances(mixture, k)),
  variances: ({ covariances, dims }, k) => covariances.slice(k * dims, (k + 1) * dims),
  precisionFactors: ({ covariances, dims }) => deviationFactors(covariances, i => Math.floor(i / dims)),
  scaled: ({ covariances, dims }, factor) => ({
    covarianceType: 'diag',
    covariances: covariances.map((variance, i) => variance * factor[i % dims] ** 2),
  }),
  image: 'full',

  memory: varianceMemory,
  addKernels: addVarianceKernels,
  expectation: [PASSES.expect],
  operations: dims => 2 * dims,

  update: (ws, model, { regularisation, bounded }) => {
    const former = bounded ? model.variances : undefined;
    model.variances = centredVariances(ws, model.components, regularisation);
    scaleDimensions(ws, model.variances, former);
    return Promise.resolve();
  },
  install: (ws, model, covariances) => {
    model.variances = covariances.slice();
    scaleDimensions(ws, model.variances, undefined);
    return Promise.resolve();
  },
  varianceOf: ({ layout: { dims } }, { variances }) => {
    return (k, j) => variances[k * dims + j];
  },
  read: (_, model) => model.variances.slice(),

  stepwise: {
    leastRows: () => 0,
    blend: (ws, k, covariance, batch) => {
      for (let j = 0; j < covariance.length; j++) covariance[j] = blendedVariance(ws, k, j, covariance[j], batch);
    },
  },
};

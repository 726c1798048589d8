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

/** One variance per component, of every dimension: [components]. */
export const spherical: Covariance = {
  shared: false,
  shape: components => [components],
  parameters: components => components,
  accepts: () => true,

  matrix: (mixture, k) => diagonalMatrix(spherical.variances(mixture, k)),
  variances: ({ covariances, dims }, k) => new Float64Array(dims).fill(covariances[k]),
  precisionFactors: ({ covariances }) => deviationFactors(covariances, k => k),
  scaled: ({ covariances, dims }, factor) => ({
    covarianceType: 'diag',
    covariances: repeated(covariances, dims).map((variance, i) => variance * factor[i % dims] ** 2),
  }),
  image: 'full',

  memory: varianceMemory,
  addKernels: addVarianceKernels,
  expectation: [PASSES.expect],
  operations: dims => 2 * dims,

  update: (ws, model, { regularisation, bounded }) => {
    const { dims } = ws.layout;
    const former = bounded ? repeated(model.variances, dims) : undefined;
    const all = centredVariances(ws, model.components, regularisation);
    model.variances = Float64Array.from({ length: model.components }, (_, k) => {
      let sum = 0;
      for (let j = 0; j < dims; j++) sum += all[k * dims + j];
      return sum / dims;
    });
    scaleDimensions(ws, repeated(model.variances, dims), former);
    return Promise.resolve();
  },
  install: (ws, model, covariances) => {
    model.variances = covariances.slice();
    scaleDimensions(ws, repeated(covariances, ws.layout.dims), undefined);
    return Promise.resolve();
  },
  varianceOf: (_, { variances }) => {
    return k => variances[k];
  },
  read: (_, model) => model.variances.slice(),

  stepwise: {
    leastRows: () => 0,
    blend: (ws, k, covariance, batch) => {
      let sum = 0;
      for (let j = 0; j < ws.layout.dims; j++) sum += blendedVariance(ws, k, j, covariance[0], batch);
      covariance[0] = sum / ws.layout.dims;
    },
  },
};

const repeated = (values: Float64Array, times: number): Float64Array =>
  Float64Array.from({ length: values.length * times }, (_, i) => values[Math.floor(i / times)]);

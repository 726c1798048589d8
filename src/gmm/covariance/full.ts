import { addExpectation, addFactorisation, addMoments, PASSES, triangularDistance } from '../kernels/index.js';
import type { Covariance } from './covariance.js';
import {
  diagonalAt,
  factorise,
  matrixFactors,
  matrixMemory,
  readMatrices,
  scaledMatrices,
  writeMatrix,
} from './matrices.js';

/** Any covariance matrix, each component its own: [components, dims, dims]. */
export const full: Covariance = {
  shared: false,
  shape: (components, dims) => [components, dims, dims],
  parameters: (components, dims) => (components * dims * (dims + 1)) / 2,
  accepts: () => true,

  matrix: ({ covariances, dims }, k) => covariances.slice(k * dims * dims, (k + 1) * dims * dims),
  variances: (mixture, k) => diagonalAt(mixture, k * mixture.dims ** 2),
  precisionFactors: matrixFactors,
  scaled: scaledMatrices,
  image: 'full',

  memory: matrixMemory,
  addKernels: ({ m, layout, products }) => {
    addExpectation(m, layout, {
      pass: PASSES.expect,
      distance: triangularDistance(m, layout),
      means: layout.means,
      factors: layout.factors,
      factorStride: layout.factorBytes,
      data: layout.data,
      hard: false,
      evaluate: products?.evaluate,
    });
    addMoments(m, layout, 'outer', products?.outer);
    addFactorisation(m, layout, { drifts: true });
  },
  expectation: [PASSES.expect],
  operations: dims => dims * dims,

  update: (ws, { components }, options) => factorise(ws, components, options),
  install: async (ws, { components }, covariances) => {
    for (let k = 0; k < components; k++) writeMatrix(ws, k, covariances.subarray(k * ws.layout.dims ** 2));
    await factorise(ws, components, { regularisation: 0, bounded: false });
  },
  varianceOf: ({ scatter, layout: { width } }) => {
    return (k, j) => scatter[(k * width + j) * width + j];
  },
  read: (ws, { components }) => readMatrices(ws, components),

  stepwise: {
    leastRows: dims => 2 * dims,
    blend: ({ scatter, layout }, k, covariance, { count, share, shift, offset, regularisation }) => {
      const { dims, width } = layout;
      const start = k * width * width;
      const between = share * (1 - share);
      for (let i = 0; i < dims; i++)
        for (let j = 0; j <= i; j++) {
          const own = scatter[start + i * width + j] / count - shift[i] * shift[j] + (i === j ? regularisation : 0);
          const value = (1 - share) * covariance[i * dims + j] + share * own + between * offset[i] * offset[j];
          covariance[i * dims + j] = covariance[j * dims + i] = value;
        }
    },
  },
};

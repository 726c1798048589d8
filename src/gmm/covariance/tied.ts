import {
  addExpectation,
  addFactorisation,
  addMaximisation,
  addMoments,
  addWhitening,
  PASSES,
} from '../kernels/index.js';
import type { WorkingMixture } from '../mixture.js';
import { sampleMoments } from '../sample.js';
import { limitSums } from '../sums.js';
import type { Workspace } from '../workspace.js';
import type { Covariance, TotalScatter } from './covariance.js';
import {
  diagonalAt,
  factorise,
  isSymmetric,
  matrixFactors,
  matrixMemory,
  readMatrices,
  scaledMatrices,
  writeMatrix,
} from './matrices.js';

/**
 * One covariance matrix for all components: [dims, dims]. It is what all rows vary by less what the means do, and rows
 * whitened by its factor have the identity as every component's covariance.
 */
export const tied: Covariance = {
  shared: true,
  shape: (_, dims) => [dims, dims],
  parameters: (_, dims) => (dims * (dims + 1)) / 2,
  accepts: isSymmetric,

  matrix: ({ covariances }) => covariances.slice(),
  variances: mixture => diagonalAt(mixture, 0),
  precisionFactors: matrixFactors,
  scaled: scaledMatrices,
  image: 'tied',

  memory: (_, width) => ({ ...matrixMemory(1, width), whitened: width, moments: 'none' }),
  addKernels: ({ m, layout, diagonal }) => {
    addExpectation(m, layout, {
      pass: PASSES.expect,
      distance: diagonal,
      means: layout.centres,
      factors: layout.ones,
      factorStride: 0,
      data: layout.whitened,
      hard: false,
    });
    addWhitening(m, layout);
    addMoments(m, layout, 'none');
    addMaximisation(m, layout, { pass: PASSES.scatter, means: layout.means, moments: 'outer', hard: true });
    addFactorisation(m, layout, { drifts: false });
  },
  expectation: [PASSES.whiten, PASSES.expect],
  operations: dims => 2 * dims,

  total: totalScatter,
  update: async (ws, model, { regularisation, bounded, total }) => {
    const { width } = ws.layout;
    writeMatrix(ws, 0, withinComponents(total!, model, regularisation));
    const shifts = ws.shift.slice(0, model.components * width);
    ws.shift.fill(0, 0, width);
    ws.inverseCounts[0] = 1;
    await factorise(ws, 1, { regularisation: 0, bounded });
    shareFactor(ws, model, shifts);
  },
  install: async (ws, model, covariances) => {
    writeMatrix(ws, 0, covariances);
    await factorise(ws, 1, { regularisation: 0, bounded: false });
    shareFactor(ws, model, new Float64Array(model.components * ws.layout.width));
  },
  varianceOf: ({ scatter, layout: { width } }) => {
    return (_, j) => scatter[j * width + j];
  },
  read: ws => readMatrices(ws, 1),
};

/** Gathered twice, the second time about the mean itself, so that nothing cancels. */
async function totalScatter(ws: Workspace): Promise<TotalScatter> {
  const { dims, width } = ws.layout;
  const { rows, means, sums } = ws;
  const { mean: near, variance } = await sampleMoments(ws);
  limitSums(ws, 0, rows, j => variance[j]);
  ws.best.fill(0);
  means.fill(0, 0, width);
  means.set(near);
  await ws.pass(1, [PASSES.scatter]);
  for (let j = 0; j < dims; j++) means[j] += sums[j] / rows;
  await ws.pass(1, [PASSES.scatter]);
  const rest = Float64Array.from({ length: dims }, (_, j) => sums[j] / rows);
  const mean = rest.map((value, j) => means[j] + value);
  const scatter = new Float64Array(dims * dims);
  for (let i = 0; i < dims; i++)
    for (let j = 0; j <= i; j++) {
      const value = ws.scatter[i * width + j] - rows * rest[i] * rest[j];
      scatter[i * dims + j] = scatter[j * dims + i] = value;
    }
  return { scatter, mean, rows };
}

/** (Σ (x − m)(x − m)ᵀ − Σ n (μ − m)(μ − m)ᵀ) / rows: the total scatter less that of the means. */
function withinComponents(
  { scatter, mean, rows }: TotalScatter,
  { components, weights, means }: WorkingMixture,
  regularisation: number,
): Float64Array {
  const dims = mean.length;
  const covariance = scatter.slice();
  for (let k = 0; k < components; k++) {
    const weight = weights[k] * rows;
    const offset = mean.map((m, j) => means[k * dims + j] - m);
    for (let i = 0; i < dims; i++)
      for (let j = 0; j <= i; j++) covariance[i * dims + j] -= weight * offset[i] * offset[j];
  }
  for (let i = 0; i < dims; i++)
    for (let j = 0; j <= i; j++) {
      const value = covariance[i * dims + j] / rows + (i === j ? regularisation : 0);
      covariance[i * dims + j] = covariance[j * dims + i] = value;
    }
  return covariance;
}

/** One factor for all: every component shares its determinant and bound; means are whitened like the rows. */
function shareFactor(ws: Workspace, { components, means }: WorkingMixture, shifts: Float64Array): void {
  const { dims, width } = ws.layout;
  const { factors, logDeterminants, decay, definite } = ws;
  const mean = new Float64Array(width);
  for (let k = 0; k < components; k++) {
    logDeterminants[k] = logDeterminants[0];
    decay[k] = decay[0];
    definite[k] = definite[0];
    mean.set(means.subarray(k * dims, (k + 1) * dims));
    ws.centres.set(whitened(factors, mean, width), k * width);
    const moved = whitened(factors, shifts.subarray(k * width, (k + 1) * width), width);
    ws.drift[k] = Math.hypot(...moved) * 1.0001 + 1e-5;
  }
}

/** Uᵀ x for the packed factor: columns in blocks of eight, each down to its block's end. */
function whitened(factor: Float32Array, x: Float64Array, width: number): Float64Array {
  const out = new Float64Array(width);
  let at = 0;
  for (let block = 0; block < width; block += 8)
    for (let j = 0; j < block + 8; j++) for (let c = 0; c < 8; c++) out[block + c] += factor[at++] * x[j];
  return out;
}

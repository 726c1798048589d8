import { notDefinite } from '../errors.js';
import { addExpectation, addMoments, PASSES, type CovarianceMemory } from '../kernels/index.js';
import type { Workspace } from '../workspace.js';
import type { Batch, Kernels } from './covariance.js';

/* Covariances that are variances of independent dimensions: diag and spherical. */

export const varianceMemory = (components: number, width: number): CovarianceMemory => ({
  factor: width,
  factors: components * width,
  scatter: components * width,
  previous: 0,
  directions: 0,
  whitened: 0,
  matrix: 0,
  panel: 0,
  moments: 'squares',
});

export function addVarianceKernels({ m, layout, diagonal }: Kernels): void {
  addExpectation(m, layout, {
    pass: PASSES.expect,
    distance: diagonal,
    means: layout.means,
    factors: layout.factors,
    factorStride: layout.factorBytes,
    data: layout.data,
    hard: false,
  });
  addMoments(m, layout, 'squares');
}

/** Σ r (x − mean)² / Σ r about the new mean, [components, dims]. */
export function centredVariances(ws: Workspace, components: number, regularisation: number): Float64Array {
  const { dims, width } = ws.layout;
  const out = new Float64Array(components * dims);
  for (let k = 0; k < components; k++)
    for (let j = 0; j < dims; j++) {
      const at = k * width + j;
      out[k * dims + j] = ws.scatter[at] * ws.inverseCounts[k] - ws.shift[at] * ws.shift[at] + regularisation;
    }
  return out;
}

/** 1/σ, log det, definiteness and bounds for variances [components, dims]; no bounds where none are known from before. */
export function scaleDimensions(ws: Workspace, variances: Float64Array, former: Float64Array | undefined): void {
  const { dims, width } = ws.layout;
  for (let k = 0; k < variances.length / dims; k++) {
    let logDeterminant = 0;
    let growth = former ? 0 : Infinity;
    let moved = 0;
    let definite = true;
    for (let j = 0; j < dims; j++) {
      const variance = variances[k * dims + j];
      definite &&= variance > 0 && Number.isFinite(variance);
      logDeterminant += Math.log(variance);
      ws.factors[k * width + j] = 1 / Math.sqrt(variance);
      if (former) growth = Math.max(growth, variance / former[k * dims + j]);
      moved += ws.shift[k * width + j] ** 2 / variance;
    }
    ws.logDeterminants[k] = logDeterminant;
    ws.definite[k] = Number(definite);
    ws.decay[k] = growth > 0 && Number.isFinite(growth) ? 0.99999 / Math.sqrt(growth) : 0;
    ws.drift[k] = Math.sqrt(moved) * 1.0001 + 1e-5;
  }
}

/** 1/σ. @throws UserError for a variance that is not positive; `componentOf` says whose it is. */
export const deviationFactors = (variances: Float64Array, componentOf: (index: number) => number): Float64Array =>
  variances.map((variance, i) => {
    if (!(variance > 0)) throw notDefinite(componentOf(i));
    return 1 / Math.sqrt(variance);
  });

/** Component k's variance along dimension j between the former one and the batch's. */
export function blendedVariance(
  { scatter, layout }: Workspace,
  k: number,
  j: number,
  former: number,
  { count, share, shift, offset, regularisation }: Batch,
): number {
  const own = scatter[k * layout.width + j] / count - shift[j] ** 2 + regularisation;
  return (1 - share) * former + share * own + share * (1 - share) * offset[j] ** 2;
}

/** [dims, dims] with these on the diagonal. */
export function diagonalMatrix(variances: Float64Array): Float64Array {
  const dims = variances.length;
  const matrix = new Float64Array(dims * dims);
  for (let i = 0; i < dims; i++) matrix[i * dims + i] = variances[i];
  return matrix;
}

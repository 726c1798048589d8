import { COVARIANCES, ownCovarianceCount, type UpdateOptions } from './covariance/index.js';
import { FitError } from './errors.js';
import { PASSES } from './kernels/index.js';
import { assignRows } from './kmeans.js';
import { leastLikely } from './least-likely.js';
import type { FitStep, Mixture, WorkingMixture } from './mixture.js';
import { emptyModel, exportMixture, install, update } from './model.js';
import type { FitOptions, FitRun } from './run.js';
import { tilesOfAll } from './tiles.js';
import type { Block, Workspace } from './workspace.js';

/** E-step: distances and log densities, which give the responsibilities, of every row; returns the mean log-likelihood. */
export async function expectation(
  ws: Workspace,
  components: number,
  onBlock?: (block: Block) => void,
): Promise<number> {
  await ws.pass(components, COVARIANCES[ws.layout.covariance].expectation, onBlock);
  const mean = (await tilesOfAll(ws, ws.tileSums)).reduce((sum, value) => sum + value, 0) / ws.rows;
  if (!Number.isFinite(mean))
    throw new FitError('the likelihood is NaN: a component has collapsed', {
      kind: 'collapsed',
      components: 'one',
    });
  return mean;
}

/** M-step: the mixture that is likeliest under the responsibilities of the last E-step. */
export async function maximisation(ws: Workspace, model: WorkingMixture, options: UpdateOptions): Promise<FitStep> {
  await ws.pass(model.components, [PASSES.maximise]);
  return await update(ws, model, options);
}

/** The initial mixture: a given one, or that of rows divided among the components. */
export async function begin(
  ws: Workspace,
  { components, start, regCovar }: FitOptions,
  { random, from, total }: Pick<FitRun, 'random' | 'from' | 'total'>,
): Promise<FitStep> {
  if (from) return await install(ws, from.mixture);
  if (typeof start !== 'string') return await install(ws, start);
  await assignRows(ws, components, start, random);
  await ws.pass(components, [PASSES.gather]);
  const model = emptyModel(components, ws.layout.dims);
  return await update(ws, model, { regularisation: regCovar, bounded: false, total });
}

/** Reinitialises collapsed components at the least likely rows, as wide as the others are on average. */
export async function reseed(ws: Workspace, model: WorkingMixture, collapsed: number[]): Promise<WorkingMixture> {
  const { dims } = ws.layout;
  const { components } = model;
  if (collapsed.length === components)
    throw new FitError('no component has a positive definite covariance: the data may not vary', {
      kind: 'collapsed',
      components: 'all',
    });
  const mixture = exportMixture(ws, model);
  const size = ownCovarianceCount(mixture);
  const typical = typicalCovariance(mixture, collapsed);
  const rows = await ws.rowsAt(await leastLikely(ws, ws.logDensity, collapsed.length));
  collapsed.forEach((k, i) => {
    mixture.means.set(rows.subarray(i * dims, (i + 1) * dims), k * dims);
    mixture.covariances.set(typical, k * size);
    mixture.weights[k] = 1 / components;
  });
  const sum = mixture.weights.reduce((a, b) => a + b, 0);
  mixture.weights = mixture.weights.map(weight => weight / sum);
  return (await install(ws, mixture)).model;
}

/** The mean over the components that have not collapsed. */
function typicalCovariance(mixture: Mixture, collapsed: number[]): Float64Array {
  const size = ownCovarianceCount(mixture);
  const healthy = Array.from({ length: mixture.components }, (_, k) => k).filter(k => !collapsed.includes(k));
  const typical = new Float64Array(size);
  for (const k of healthy)
    for (let i = 0; i < size; i++) typical[i] += mixture.covariances[k * size + i] / healthy.length;
  return typical;
}

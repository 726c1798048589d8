import { COVARIANCES, type UpdateOptions } from './covariance/index.js';
import type { FitStep, Mixture, WorkingMixture } from './mixture.js';
import { limitSums } from './sums.js';
import type { Workspace } from './workspace.js';

/** scikit-learn's guard against dividing by nothing. */
const ALMOST_NOTHING = 10 * Number.EPSILON;

export const emptyModel = (components: number, dims: number): WorkingMixture => ({
  components,
  weights: new Float64Array(components),
  means: new Float64Array(components * dims),
  variances: new Float64Array(0),
});

/** Sums of the last pass → weights, means and covariances. */
export async function update(ws: Workspace, model: WorkingMixture, options: UpdateOptions): Promise<FitStep> {
  const { dims, width, covariance } = ws.layout;
  const { components, weights, means } = model;
  const empty: number[] = [];
  let total = 0;
  for (let k = 0; k < components; k++) {
    const count = ws.counts[k] + ALMOST_NOTHING;
    if (count < 1e-6) empty.push(k);
    weights[k] = count;
    total += count;
    ws.inverseCounts[k] = 1 / count;
    for (let j = 0; j < dims; j++) {
      const at = k * width + j;
      ws.shift[at] = ws.sums[at] / count;
      means[k * dims + j] = ws.means[at] + ws.shift[at];
    }
  }
  for (let k = 0; k < components; k++) weights[k] /= total;
  await COVARIANCES[covariance].update(ws, model, options);
  publish(ws, model);
  return { model, collapsed: [...new Set([...empty, ...indefinite(ws, components)])].sort((a, b) => a - b) };
}

/** Writes what the passes read besides the factors: means and constants, in single precision, and what sums are rounded by. */
function publish(ws: Workspace, model: WorkingMixture): void {
  const { components, weights, means } = model;
  const { dims, width, covariance } = ws.layout;
  const variance = COVARIANCES[covariance].varianceOf(ws, model);
  for (let k = 0; k < components; k++) {
    for (let j = 0; j < dims; j++) ws.means[k * width + j] = means[k * dims + j];
    ws.constants[k] = Math.log(weights[k]) - 0.5 * (dims * Math.log(2 * Math.PI) + ws.logDeterminants[k]);
    limitSums(ws, k, ws.rows * weights[k], j => variance(k, j));
  }
}

const indefinite = ({ definite }: Workspace, components: number): number[] =>
  Array.from({ length: components }, (_, k) => k).filter(k => definite[k] === 0);

/** Puts a given mixture into the workspace, as if it had just been updated. */
export async function install(ws: Workspace, mixture: Mixture): Promise<FitStep> {
  const { width, dims, covariance } = ws.layout;
  const { components } = mixture;
  const model = { ...emptyModel(components, dims), weights: mixture.weights.slice(), means: mixture.means.slice() };
  ws.shift.fill(0, 0, components * width);
  ws.inverseCounts.fill(1, 0, components);
  await COVARIANCES[covariance].install(ws, model, mixture.covariances);
  publish(ws, model);
  return { model, collapsed: indefinite(ws, components) };
}

/** The current mixture. */
export function exportMixture(ws: Workspace, model: WorkingMixture): Mixture {
  const { covariance, dims } = ws.layout;
  return {
    covarianceType: covariance,
    components: model.components,
    dims,
    weights: model.weights.slice(),
    means: model.means.slice(),
    covariances: COVARIANCES[covariance].read(ws, model),
  };
}

import { covarianceCount, type Mixture } from './mixture.js';
import type { CovarianceType } from './names.js';
import type { Workspace } from './workspace.js';

/** The mixture being fitted: what the passes read lies in the workspace, what they don't need is here. */
export interface Model {
  readonly components: number;
  weights: Float64Array;
  /** [components, dims] */
  means: Float64Array;
  /** diag: [components, dims], spherical: [components]; the matrices of full and tied stay in the workspace. */
  variances: Float64Array;
  /** tied: Σ (x − m)(x − m)ᵀ over all rows, [dims, dims], and m. */
  total?: { scatter: Float64Array; mean: Float64Array; rows: number };
}

export interface UpdateResult {
  /** Components whose covariance is not positive definite, or that no row belongs to. */
  collapsed: number[];
}

/** scikit-learn's guard against dividing by nothing. */
const ALMOST_NOTHING = 10 * Number.EPSILON;

export function emptyModel(ws: Workspace, components: number): Model {
  const { dims, covariance } = ws.layout;
  const triangular = covariance === 'full' || covariance === 'tied';
  return {
    components,
    weights: new Float64Array(components),
    means: new Float64Array(components * dims),
    variances: new Float64Array(triangular ? 0 : covarianceCount(covariance, components, dims)),
  };
}

/** Sums of the last pass → weights, means and covariances; `bounded` keeps the bounds on distances alive. */
export async function update(
  ws: Workspace,
  model: Model,
  { regularisation, bounded }: { regularisation: number; bounded: boolean },
): Promise<UpdateResult> {
  const { layout, f32, f64 } = ws;
  const { dims, width } = layout;
  const { components, weights, means } = model;
  const empty: number[] = [];
  let total = 0;
  for (let k = 0; k < components; k++) {
    const count = f64[layout.counts / 8 + k] + ALMOST_NOTHING;
    if (count < 1e-6) empty.push(k);
    weights[k] = count;
    total += count;
    f64[layout.inverseCounts / 8 + k] = 1 / count;
    for (let j = 0; j < dims; j++) {
      const at = k * width + j;
      const shift = f64[layout.sums / 8 + at] / count;
      f64[layout.shift / 8 + at] = shift;
      means[k * dims + j] = f32[layout.means / 4 + at] + shift;
    }
  }
  for (let k = 0; k < components; k++) weights[k] /= total;
  await COVARIANCES[layout.covariance].update(ws, model, regularisation, bounded);
  publish(ws, model);
  return { collapsed: [...new Set([...empty, ...indefinite(ws, model)])].sort((a, b) => a - b) };
}

/** Writes what the E-step reads besides the factors: means and constants, in single precision. */
function publish(ws: Workspace, { components, weights, means }: Model): void {
  const { layout, f32, f64 } = ws;
  const { dims, width } = layout;
  for (let k = 0; k < components; k++) {
    for (let j = 0; j < dims; j++) f32[layout.means / 4 + k * width + j] = means[k * dims + j];
    const logDeterminant = f64[layout.logDeterminants / 8 + k];
    f32[layout.constants / 4 + k] = Math.log(weights[k]) - 0.5 * (dims * Math.log(2 * Math.PI) + logDeterminant);
  }
}

function indefinite({ layout, i32 }: Workspace, { components }: Model): number[] {
  return Array.from({ length: components }, (_, k) => k).filter(k => i32[layout.definite / 4 + k] === 0);
}

/** Puts a given mixture into the workspace, as if it had just been updated. */
export async function install(ws: Workspace, mixture: Mixture): Promise<{ model: Model } & UpdateResult> {
  const { layout, f64 } = ws;
  const { components } = mixture;
  const model = { ...emptyModel(ws, components), weights: mixture.weights.slice(), means: mixture.means.slice() };
  f64.fill(0, layout.shift / 8, layout.shift / 8 + components * layout.width);
  f64.fill(1, layout.inverseCounts / 8, layout.inverseCounts / 8 + components);
  await COVARIANCES[layout.covariance].install(ws, model, mixture.covariances);
  publish(ws, model);
  return { model, collapsed: indefinite(ws, model) };
}

/** The current mixture. */
export function exportMixture(ws: Workspace, model: Model): Mixture {
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

/** The operations that differ per covariance type. */
interface CovarianceRules {
  update(ws: Workspace, model: Model, regularisation: number, bounded: boolean): Promise<void>;
  install(ws: Workspace, model: Model, covariances: Float64Array): Promise<void>;
  read(ws: Workspace, model: Model): Float64Array;
}

const COVARIANCES: Record<CovarianceType, CovarianceRules> = {
  full: {
    update: (ws, { components }, regularisation, bounded) =>
      ws.run('factorise', components, regularisation, Number(bounded)),
    install: async (ws, { components }, covariances) => {
      for (let k = 0; k < components; k++) writeMatrix(ws, k, covariances.subarray(k * ws.layout.dims ** 2));
      await factoriseGiven(ws, components);
    },
    read: (ws, { components }) => {
      const { dims } = ws.layout;
      const out = new Float64Array(components * dims * dims);
      for (let k = 0; k < components; k++) readMatrix(ws, k, out.subarray(k * dims * dims));
      return out;
    },
  },

  tied: {
    update: async (ws, model, regularisation, bounded) => {
      const { dims, width, shift } = ws.layout;
      const { scatter, mean, rows } = model.total!;
      const covariance = scatter.slice();
      for (let k = 0; k < model.components; k++) {
        const weight = model.weights[k] * rows;
        const offset = Float64Array.from({ length: dims }, (_, j) => model.means[k * dims + j] - mean[j]);
        for (let i = 0; i < dims; i++)
          for (let j = 0; j <= i; j++) covariance[i * dims + j] -= weight * offset[i] * offset[j];
      }
      for (let i = 0; i < dims; i++)
        for (let j = 0; j <= i; j++) {
          const value = covariance[i * dims + j] / rows + (i === j ? regularisation : 0);
          covariance[i * dims + j] = covariance[j * dims + i] = value;
        }
      const shifts = ws.f64.slice(shift / 8, shift / 8 + model.components * width);
      writeMatrix(ws, 0, covariance);
      ws.f64.fill(0, shift / 8, shift / 8 + width);
      ws.f64[ws.layout.inverseCounts / 8] = 1;
      await ws.run('factorise', 1, 0, Number(bounded));
      shareFactor(ws, model, shifts);
    },
    install: async (ws, model, covariances) => {
      writeMatrix(ws, 0, covariances);
      await factoriseGiven(ws, 1);
      shareFactor(ws, model, new Float64Array(model.components * ws.layout.width));
    },
    read: ws => {
      const out = new Float64Array(ws.layout.dims ** 2);
      readMatrix(ws, 0, out);
      return out;
    },
  },

  diag: {
    update: (ws, model, regularisation, bounded) => {
      const former = bounded ? model.variances : undefined;
      model.variances = centredVariances(ws, model.components, regularisation);
      scaleDimensions(ws, model.components, model.variances, former);
      return Promise.resolve();
    },
    install: (ws, model, covariances) => {
      model.variances = covariances.slice();
      scaleDimensions(ws, model.components, model.variances, undefined);
      return Promise.resolve();
    },
    read: (_, model) => model.variances.slice(),
  },

  spherical: {
    update: (ws, model, regularisation, bounded) => {
      const { dims } = ws.layout;
      const former = bounded ? repeated(model.variances, dims) : undefined;
      const all = centredVariances(ws, model.components, regularisation);
      model.variances = Float64Array.from({ length: model.components }, (_, k) => {
        let sum = 0;
        for (let j = 0; j < dims; j++) sum += all[k * dims + j];
        return sum / dims;
      });
      scaleDimensions(ws, model.components, repeated(model.variances, dims), former);
      return Promise.resolve();
    },
    install: (ws, model, covariances) => {
      model.variances = covariances.slice();
      scaleDimensions(ws, model.components, repeated(covariances, ws.layout.dims), undefined);
      return Promise.resolve();
    },
    read: (_, model) => model.variances.slice(),
  },
};

const repeated = (values: Float64Array, times: number): Float64Array =>
  Float64Array.from({ length: values.length * times }, (_, i) => values[Math.floor(i / times)]);

async function factoriseGiven(ws: Workspace, matrices: number): Promise<void> {
  const { f32, layout } = ws;
  const { dims, width } = layout;
  for (let k = 0; k < matrices; k++) {
    const at = layout.directions / 4 + k * width;
    f32.fill(1 / Math.sqrt(dims), at, at + dims);
  }
  await ws.run('factorise', matrices, 0, 0);
}

function writeMatrix({ f64, layout }: Workspace, k: number, matrix: Float64Array): void {
  const { dims, width, scatter } = layout;
  const at = scatter / 8 + k * width * width;
  f64.fill(0, at, at + width * width);
  for (let i = 0; i < dims; i++) f64.set(matrix.subarray(i * dims, (i + 1) * dims), at + i * width);
}

function readMatrix({ f64, layout }: Workspace, k: number, out: Float64Array): void {
  const { dims, width, scatter } = layout;
  const at = scatter / 8 + k * width * width;
  for (let i = 0; i < dims; i++) out.set(f64.subarray(at + i * width, at + i * width + dims), i * dims);
}

/** One factor for all: every component shares its determinant and bound; means are whitened like the rows. */
function shareFactor({ f32, f64, i32, layout }: Workspace, { components, means }: Model, shifts: Float64Array): void {
  const { dims, width } = layout;
  const logDeterminant = f64[layout.logDeterminants / 8];
  const decay = f32[layout.decay / 4];
  const definite = i32[layout.definite / 4];
  const factor = f32.subarray(layout.factors / 4, layout.factors / 4 + layout.factorBytes / 4);
  const mean = new Float64Array(width);
  for (let k = 0; k < components; k++) {
    f64[layout.logDeterminants / 8 + k] = logDeterminant;
    f32[layout.decay / 4 + k] = decay;
    i32[layout.definite / 4 + k] = definite;
    mean.set(means.subarray(k * dims, (k + 1) * dims));
    f32.set(whitened(factor, mean, width), layout.centres / 4 + k * width);
    const moved = whitened(factor, shifts.subarray(k * width, (k + 1) * width), width);
    f32[layout.drift / 4 + k] = Math.hypot(...moved) * 1.0001 + 1e-5;
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

/** Σ r (x − mean)² / Σ r about the new mean, [components, dims]. */
function centredVariances({ f64, layout }: Workspace, components: number, regularisation: number): Float64Array {
  const { dims, width } = layout;
  const out = new Float64Array(components * dims);
  for (let k = 0; k < components; k++) {
    const inverse = f64[layout.inverseCounts / 8 + k];
    for (let j = 0; j < dims; j++) {
      const at = k * width + j;
      const shift = f64[layout.shift / 8 + at];
      out[k * dims + j] = f64[layout.scatter / 8 + at] * inverse - shift * shift + regularisation;
    }
  }
  return out;
}

/** 1/σ, log det, definiteness and bounds for variances [components, dims]. */
function scaleDimensions(
  { f32, f64, i32, layout }: Workspace,
  components: number,
  variances: Float64Array,
  former: Float64Array | undefined,
): void {
  const { dims, width } = layout;
  for (let k = 0; k < components; k++) {
    let logDeterminant = 0;
    let growth = former ? 0 : Infinity;
    let moved = 0;
    let definite = true;
    for (let j = 0; j < dims; j++) {
      const variance = variances[k * dims + j];
      definite &&= variance > 0 && Number.isFinite(variance);
      logDeterminant += Math.log(variance);
      f32[layout.factors / 4 + k * width + j] = 1 / Math.sqrt(variance);
      if (former) growth = Math.max(growth, variance / former[k * dims + j]);
      moved += f64[layout.shift / 8 + k * width + j] ** 2 / variance;
    }
    f64[layout.logDeterminants / 8 + k] = logDeterminant;
    i32[layout.definite / 4 + k] = Number(definite);
    f32[layout.decay / 4 + k] = growth > 0 && Number.isFinite(growth) ? 0.99999 / Math.sqrt(growth) : 0;
    f32[layout.drift / 4 + k] = Math.sqrt(moved) * 1.0001 + 1e-5;
  }
}

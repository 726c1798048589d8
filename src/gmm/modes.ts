import { eigh } from '../engine/index.js';
import { eachCovariance } from './covariance/index.js';
import type { Mixture } from './mixture.js';

export interface Modes {
  /** [modes, dims], the densest first. */
  points: Float64Array[];
  /** Which mode each component's mean climbs to. */
  modeOf: Int32Array;
}

const STEPS = 500;
const SETTLED = 1e-6;
/** Ends closer than this, in units of the components' own standard deviations, are one mode. */
const SAME = 1e-2;

/**
 * Modes of the mixture's density by mean shift from every mean (Carreira-Perpiñán 2000): the fixed point of
 * x = (Σ r Σ⁻¹)⁻¹ Σ r Σ⁻¹ μ, each step of which climbs. The covariances must be positive definite.
 */
export function findModes(mixture: Mixture): Modes {
  const terms = precisions(mixture);
  const { components, dims, means } = mixture;
  const found: { point: Float64Array; log: number }[] = [];
  const ends = Array.from({ length: components }, (_, k) => {
    const end = climb(mixture, terms, means.slice(k * dims, (k + 1) * dims));
    const near = found.findIndex(({ point }) => distance(point, end.point, terms[end.component]) < SAME);
    if (near >= 0) return near;
    return found.push(end) - 1;
  });
  const order = found.map((_, i) => i).sort((a, b) => found[b].log - found[a].log);
  return {
    points: order.map(i => found[i].point),
    modeOf: Int32Array.from(ends, end => order.indexOf(end)),
  };
}

interface Term {
  /** Σ⁻¹ [dims, dims] and Σ⁻¹ μ. */
  precision: Float64Array;
  pull: Float64Array;
  constant: number;
}

function precisions(mixture: Mixture): Term[] {
  const { dims, weights, means } = mixture;
  return eachCovariance(mixture, covariance => inverse(covariance, dims)).map(({ precision, logDeterminant }, k) => ({
    precision,
    pull: times(precision, means.subarray(k * dims, (k + 1) * dims)),
    constant: Math.log(weights[k]) - 0.5 * logDeterminant,
  }));
}

function inverse(matrix: Float64Array, n: number): { precision: Float64Array; logDeterminant: number } {
  const { values, vectors } = eigh(matrix, n);
  const precision = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let e = 0; e < n; e++) sum += (vectors[i * n + e] * vectors[j * n + e]) / values[e];
      precision[i * n + j] = precision[j * n + i] = sum;
    }
  return { precision, logDeterminant: values.reduce((sum, value) => sum + Math.log(value), 0) };
}

function times(matrix: Float64Array, x: Float64Array): Float64Array {
  const n = x.length;
  return Float64Array.from({ length: n }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += matrix[i * n + j] * x[j];
    return sum;
  });
}

function climb({ dims, means }: Mixture, terms: Term[], start: Float64Array) {
  let x = start;
  let component = 0;
  let log = -Infinity;
  for (let step = 0; step < STEPS; step++) {
    const logs = terms.map(({ precision, constant }, k) => {
      const offset = x.map((value, j) => value - means[k * dims + j]);
      return constant - 0.5 * dot(offset, times(precision, offset));
    });
    log = Math.max(...logs);
    component = logs.indexOf(log);
    const matrix = new Float64Array(dims * dims);
    const pull = new Float64Array(dims);
    terms.forEach((term, k) => {
      const r = Math.exp(logs[k] - log);
      if (r < 1e-12) return;
      for (let i = 0; i < matrix.length; i++) matrix[i] += r * term.precision[i];
      for (let j = 0; j < dims; j++) pull[j] += r * term.pull[j];
    });
    const next = solve(matrix, pull);
    const moved = distance(next, x, terms[component]);
    x = next;
    if (moved < SETTLED) break;
  }
  return { point: x, log, component };
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, i) => sum + value * b[i], 0);

/** In the metric of one component. */
function distance(a: Float64Array, b: Float64Array, { precision }: Term): number {
  const offset = a.map((value, i) => value - b[i]);
  return Math.sqrt(Math.max(0, dot(offset, times(precision, offset))));
}

/** x with A x = b for a positive definite A, which is used up: Cholesky in place. */
function solve(a: Float64Array, b: Float64Array): Float64Array {
  const n = b.length;
  const x = b.slice();
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j];
      for (let k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i === j ? Math.sqrt(sum) : sum / a[j * n + j];
    }
    for (let k = 0; k < i; k++) x[i] -= a[i * n + k] * x[k];
    x[i] /= a[i * n + i];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i] -= a[k * n + i] * x[k];
    x[i] /= a[i * n + i];
  }
  return x;
}

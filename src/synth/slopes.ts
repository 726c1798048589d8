import { studentQuantile } from '../statistics/index.js';
import { cholesky, triangularSolve } from '../engine/index.js';

export interface Slope {
  value: number;
  /** 95% interval. */
  low: number;
  high: number;
}

/**
 * Slopes of a linear model with an intercept by least squares, with Student's intervals. `predictors` [points] of equal
 * length; @returns one slope each. Undefined where the points are too few or do not tell the predictors apart.
 */
export function leastSquaresSlopes(predictors: number[][], response: number[]): Slope[] | undefined {
  const n = response.length;
  const p = predictors.length;
  const freedom = n - p - 1;
  if (freedom < 1) return undefined;
  const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / n;
  const centred = [...predictors, response].map(values => values.map(value => value - mean(values)));
  const dot = (a: number, b: number): number => centred[a].reduce((sum, value, i) => sum + value * centred[b][i], 0);
  if (predictors.some((_, a) => !(dot(a, a) > 0))) return undefined;
  const gram = Float64Array.from({ length: p * p }, (_, at) => dot(Math.floor(at / p), at % p));
  const factor = cholesky(gram, p);
  const identity = Float64Array.from({ length: p * p }, (_, at) => (Math.floor(at / p) === at % p ? 1 : 0));
  const root = triangularSolve(factor, identity, p, p);
  // (LLᵀ)⁻¹ = L⁻ᵀ L⁻¹
  const inverse = (a: number, b: number): number =>
    Array.from({ length: p }, (_, i) => root[i * p + a] * root[i * p + b]).reduce((x, y) => x + y, 0);
  const slopes = predictors.map((_, a) => predictors.reduce((sum, __, b) => sum + inverse(a, b) * dot(b, p), 0));
  const residual = response.map(
    (_, i) => centred[p][i] - slopes.reduce((sum, slope, a) => sum + slope * centred[a][i], 0),
  );
  const variance = residual.reduce((sum, value) => sum + value * value, 0) / freedom;
  return slopes.map((value, a) => {
    const reach = studentQuantile(freedom) * Math.sqrt(variance * inverse(a, a));
    return { value, low: value - reach, high: value + reach };
  });
}

import { covarianceMatrix, variances } from './covariance/index.js';
import type { Mixture } from './mixture.js';

/** The quantities of a component that the paper's theorem uses. */
export interface ComponentStatistics {
  cluster: number;
  weight: number;
  /** ‖μ‖ */
  meanNorm: number;
  /** ‖Σ‖, Frobenius. */
  covarianceNorm: number;
  /** E‖x‖² = ‖μ‖² + tr Σ */
  secondMoment: number;
  /** Distance to the nearest other mean; NaN for a single component. */
  minMeanDistance: number;
}

/** The statistics of every component, in the units of the mixture's space. */
export function componentStatistics(mixture: Mixture): ComponentStatistics[] {
  const { components, dims, weights, means } = mixture;
  const nearest = nearestMeans(mixture);
  return Array.from({ length: components }, (_, k) => {
    let meanSquare = 0;
    for (let j = 0; j < dims; j++) meanSquare += means[k * dims + j] ** 2;
    const trace = variances(mixture, k).reduce((a, b) => a + b, 0);
    const squares = covarianceMatrix(mixture, k).reduce((sum, value) => sum + value * value, 0);
    return {
      cluster: k,
      weight: weights[k],
      meanNorm: Math.sqrt(meanSquare),
      covarianceNorm: Math.sqrt(squares),
      secondMoment: meanSquare + trace,
      minMeanDistance: nearest[k],
    };
  });
}

/** Distance of each mean to the nearest other one. */
function nearestMeans({ components, dims, means }: Mixture): number[] {
  const nearest = new Array<number>(components).fill(components > 1 ? Infinity : NaN);
  for (let a = 0; a < components; a++)
    for (let b = 0; b < a; b++) {
      let squares = 0;
      for (let j = 0; j < dims; j++) squares += (means[a * dims + j] - means[b * dims + j]) ** 2;
      const distance = Math.sqrt(squares);
      nearest[a] = Math.min(nearest[a], distance);
      nearest[b] = Math.min(nearest[b], distance);
    }
  return nearest;
}

/** exp of the weights' entropy: as many components of equal weight would be as spread out. */
export function effectiveComponents(weights: Float64Array): number {
  return Math.exp(-weights.reduce((sum, w) => sum + (w > 0 ? w * Math.log(w) : 0), 0));
}

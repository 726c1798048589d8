import { eigh } from '../engine/index.js';
import { covarianceMatrix, ownCovarianceCount } from './covariance/index.js';
import type { Mixture } from './mixture.js';

/**
 * Nearly the same density with more components: repeatedly the heaviest is split into two halves, half a standard
 * deviation along its longest axis. A start for a larger fit that keeps what the smaller one found.
 */
export function splitHeaviest(mixture: Mixture, components: number): Mixture {
  const { dims, covarianceType } = mixture;
  const weights = Array.from(mixture.weights);
  const means = Array.from(weights, (_, k) => mixture.means.slice(k * dims, (k + 1) * dims));
  const size = ownCovarianceCount(mixture);
  const covariances = Array.from(weights, (_, k) => mixture.covariances.slice(k * size, (k + 1) * size));
  const origin = weights.map((_, k) => k);
  while (weights.length < components) {
    const heaviest = weights.indexOf(Math.max(...weights));
    const { values, vectors } = eigh(covarianceMatrix(mixture, origin[heaviest]), dims);
    const offset = Float64Array.from(
      { length: dims },
      (_, j) => 0.25 * Math.sqrt(values[dims - 1]) * vectors[j * dims + dims - 1],
    );
    weights[heaviest] /= 2;
    weights.push(weights[heaviest]);
    origin.push(origin[heaviest]);
    covariances.push(covariances[heaviest].slice());
    means.push(means[heaviest].map((value, j) => value + offset[j]));
    means[heaviest] = means[heaviest].map((value, j) => value - offset[j]);
  }
  return {
    covarianceType,
    components: weights.length,
    dims,
    weights: Float64Array.from(weights),
    means: Float64Array.from(means.flatMap(mean => Array.from(mean))),
    covariances: size === 0 ? mixture.covariances.slice() : Float64Array.from(covariances.flatMap(c => Array.from(c))),
  };
}

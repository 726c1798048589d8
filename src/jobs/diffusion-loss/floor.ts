import { UserError } from '../../base/index.js';
import { PATHS, type PathName, type TimeLoss } from '../../diffusion/index.js';
import { product } from '../../engine/index.js';
import { covarianceMatrix, diffusionFloor, loadMixture, type Mixture } from '../../gmm/index.js';
import type { Reduction } from '../../pca/index.js';
import { FROZEN_SEED } from './frozen.js';
import { reductionFrom } from '../gmm/index.js';
/* The least loss that any velocity network can have on latents that are a Gaussian mixture, in the network's units. */

export interface NetworkUnits {
  /** Numbers per row. */
  width: number;
  /** Per channel: a network sees (latents − mean) / std. */
  mean: Float32Array;
  std: Float32Array;
}

/**
 * A mixture that `analyze-gmm --save-model` or scikit-learn saved, as one of normalised latents.
 * @throws UserError where it leaves dimensions out: a floor on some axes bounds nothing on all.
 */
export async function mixtureOfLatents(path: string, units: NetworkUnits): Promise<Mixture> {
  const { mixture, arrays } = await loadMixture(path);
  const space = reductionFrom(arrays) ?? plain(mixture.dims);
  if (space.width !== units.width || mixture.dims !== units.width)
    throw new UserError(
      `--floor ${path}: its mixture has ${mixture.dims} dimensions, but a row of these latents has ${units.width}; ` +
        `fit a mixture to all dimensions: analyze-gmm --no-pca --covariance diag, or --dims ${units.width}, with --save-model`,
    );
  return space.components ? turned(mixture, space, units) : scaled(mixture, space, units);
}

const plain = (width: number): Reduction => ({ width, dims: width, mean: new Float64Array(width) });

/** y = (x − mean) / scale back to x, and on to (x − m) / s: coordinate by coordinate. */
function scaled(mixture: Mixture, space: Reduction, units: NetworkUnits): Mixture {
  const { components, dims, covarianceType } = mixture;
  const factor = Float64Array.from({ length: dims }, (_, j) => (space.scale?.[j] ?? 1) / channel(units.std, j));
  const means = mixture.means.map((mean, i) => mean * factor[i % dims] + shift(space, units, i % dims));
  if (covarianceType === 'full' || covarianceType === 'tied') {
    const covariances = mixture.covariances.map((c, i) => c * factor[i % dims] * factor[Math.floor(i / dims) % dims]);
    return { ...mixture, means, covariances };
  }
  const variance = (k: number, j: number): number =>
    mixture.covariances[covarianceType === 'diag' ? k * dims + j : k] * factor[j] ** 2;
  const covariances = Float64Array.from({ length: components * dims }, (_, i) =>
    variance(Math.floor(i / dims), i % dims),
  );
  return { ...mixture, covarianceType: 'diag', means, covariances };
}

/** Undoes a projection onto principal axes: means A μ + b and covariances A C Aᵀ. */
function turned(mixture: Mixture, space: Reduction, units: NetworkUnits): Mixture {
  const { components, dims } = mixture;
  const backwards = Float64Array.from({ length: dims * dims }, (_, at) => {
    const [j, axis] = [Math.floor(at / dims), at % dims];
    return (space.components![axis * dims + j] * (space.scale?.[axis] ?? 1)) / channel(units.std, j);
  });
  const means = product(mixture.means, backwards, { m: components, k: dims, n: dims, transposeB: true });
  const tied = mixture.covarianceType === 'tied';
  const square = { m: dims, k: dims, n: dims };
  const covariances = new Float64Array((tied ? 1 : components) * dims * dims);
  for (let k = 0; k * dims * dims < covariances.length; k++) {
    const half = product(backwards, covarianceMatrix(mixture, k), square);
    covariances.set(product(half, backwards, { ...square, transposeB: true }), k * dims * dims);
  }
  return {
    ...mixture,
    covarianceType: tied ? 'tied' : 'full',
    means: means.map((mean, i) => mean + shift(space, units, i % dims)),
    covariances,
  };
}

const channel = (values: Float32Array, j: number): number => values[j % values.length];

/** Where the mixture's origin lies in the network's units. */
const shift = ({ mean }: Reduction, units: NetworkUnits, j: number): number =>
  (mean[j] - channel(units.mean, j)) / channel(units.std, j);

/**
 * The floor of the velocity's mean squared error per number at times of any path. x_t / (α + σ) is a point of the
 * straight path at t' = α / (α + σ), and of the velocity only what the data add to it is unknown given x_t, so the two
 * floors differ by ((α'σ − σ'α) / (α + σ))².
 */
export function velocityFloor(mixture: Mixture, path: PathName, times: ArrayLike<number>, seed: number): Float64Array {
  const points = Array.from(times, PATHS[path]);
  const straight = diffusionFloor(mixture, { times: points.map(({ alpha, sigma }) => alpha / (alpha + sigma)), seed });
  return straight.map((floor, i) => {
    const { alpha, sigma, dAlpha, dSigma } = points[i];
    return floor * ((dAlpha * sigma - dSigma * alpha) / (alpha + sigma)) ** 2;
  });
}

export interface BeyondFloor {
  /** Least loss_per_dim that any network could have were the latents the mixture. */
  floor: number;
  /** Excess of the network's loss over the floor. */
  excess: number;
}

/** Adds to rows of losses by time what they are beyond the floor of a saved mixture. @throws UserError as above. */
export async function floorSubtraction(
  path: string,
  units: NetworkUnits,
  name: PathName,
): Promise<<R extends TimeLoss>(rows: R[]) => (R & BeyondFloor)[]> {
  const mixture = await mixtureOfLatents(path, units);
  // The times of a run are always the same: their floors are computed once.
  const floors = new Map<number, number>();
  return rows => {
    const times = [...new Set(rows.flatMap(({ t }) => (t === '' ? [] : [t])))];
    const fresh = times.filter(t => !floors.has(t));
    velocityFloor(mixture, name, fresh, FROZEN_SEED).forEach((floor, i) => floors.set(fresh[i], floor));
    const overall = times.reduce((sum, t) => sum + floors.get(t)! / times.length, 0);
    return rows.map(row => {
      const floor = row.t === '' ? overall : floors.get(row.t)!;
      return { ...row, floor, excess: row.loss_per_dim - floor };
    });
  };
}

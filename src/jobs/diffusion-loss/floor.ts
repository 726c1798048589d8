import { UserError } from '../../base/index.js';
import { PATHS, type PathName, type TimeLoss } from '../../diffusion/index.js';
import {
  diffusionFloor,
  loadMixture,
  scaledMixture,
  transformedMixture,
  type Mixture,
  type MixtureSpace,
} from '../../gmm/index.js';
import { FROZEN_SEED } from './frozen.js';
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
async function mixtureOfLatents(path: string, units: NetworkUnits): Promise<Mixture> {
  const { mixture, space = plain(mixture.dims) } = await loadMixture(path);
  if (space.width !== units.width || mixture.dims !== units.width)
    throw new UserError(
      `--floor ${path}: its mixture has ${mixture.dims} dimensions, but a row of these latents has ${units.width}; ` +
        `fit a mixture to all dimensions: analyze-gmm --no-pca --covariance diag, or --dims ${units.width}, with --save-model`,
    );
  return space.components ? alongAxes(mixture, space, units) : scaled(mixture, space, units);
}

const plain = (width: number): MixtureSpace => ({ width, dims: width, mean: new Float64Array(width) });

/** y = (x − mean) / scale back to x, and on to (x − m) / s: coordinate by coordinate. */
const scaled = (mixture: Mixture, space: MixtureSpace, units: NetworkUnits): Mixture =>
  scaledMixture(
    mixture,
    perDimension(mixture, j => (space.scale?.[j] ?? 1) / channel(units.std, j)),
    perDimension(mixture, j => shift(space, units, j)),
  );

/** Undoes a projection onto principal axes, in the network's units. */
function alongAxes(mixture: Mixture, space: MixtureSpace, units: NetworkUnits): Mixture {
  const { dims } = mixture;
  const backwards = Float64Array.from({ length: dims * dims }, (_, at) => {
    const [j, axis] = [Math.floor(at / dims), at % dims];
    return (space.components![axis * dims + j] * (space.scale?.[axis] ?? 1)) / channel(units.std, j);
  });
  const offset = perDimension(mixture, j => shift(space, units, j));
  return transformedMixture(mixture, backwards, offset);
}

const perDimension = ({ dims }: Mixture, f: (j: number) => number): Float64Array =>
  Float64Array.from({ length: dims }, (_, j) => f(j));

const channel = (values: Float32Array, j: number): number => values[j % values.length];

/** Where the mixture's origin lies in the network's units. */
const shift = ({ mean }: MixtureSpace, units: NetworkUnits, j: number): number =>
  (mean[j] - channel(units.mean, j)) / channel(units.std, j);

/**
 * The floor of the velocity's mean squared error per number at times of any path. x_t / (α + σ) is a point of the
 * straight path at t' = α / (α + σ), and of the velocity only what the data add to it is unknown given x_t, so the two
 * floors differ by ((α'σ − σ'α) / (α + σ))².
 */
function velocityFloor(mixture: Mixture, path: PathName, times: ArrayLike<number>, seed: number): Float64Array {
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

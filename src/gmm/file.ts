import { UserError } from '../base/index.js';
import { asFloat64, readNpz, writeNpz, type NdArray } from '../io/index.js';
import { COVARIANCES, covarianceCount, covarianceShape, precisionFactors } from './covariance/index.js';
import type { Mixture } from './mixture.js';
import { COVARIANCE_TYPES, type CovarianceType } from './names.js';
import type { Fit } from './run.js';

export type FitSummary = Pick<Fit, 'mixture' | 'converged' | 'iterations'> & { lowerBound: number };

/**
 * The arrays of a fitted mixture under the names and in the shapes of scikit-learn's GaussianMixture.
 * @throws UserError for a covariance that is not positive definite: it has no precision.
 */
export function mixtureArrays({ mixture, converged, iterations, lowerBound }: FitSummary): Record<string, NdArray> {
  const { covarianceType, components, dims } = mixture;
  const shape = covarianceShape(covarianceType, components, dims);
  const float64 = (shape: number[], data: Float64Array): NdArray => ({ shape, dtype: 'float64', data });
  return {
    // As bytes: `bytes(file['covariance_type']).decode()`.
    covariance_type: {
      shape: [covarianceType.length],
      dtype: 'uint8',
      data: new Uint8Array(Buffer.from(covarianceType)),
    },
    weights_: float64([components], mixture.weights),
    means_: float64([components, dims], mixture.means),
    covariances_: float64(shape, mixture.covariances),
    precisions_cholesky_: float64(shape, precisionFactors(mixture)),
    converged_: { shape: [], dtype: 'bool', data: Uint8Array.of(Number(converged)) },
    n_iter_: { shape: [], dtype: 'int32', data: Int32Array.of(iterations) },
    lower_bound_: float64([], Float64Array.of(lowerBound)),
  };
}

/**
 * Writes a mixture, and whatever arrays describe the space it lives in, as one .npz.
 * @throws UserError as `mixtureArrays`, and where the file exists and `force` is off.
 */
export async function saveMixture(
  path: string,
  fit: FitSummary,
  { space = {}, force = false }: { space?: Record<string, NdArray>; force?: boolean } = {},
): Promise<void> {
  await writeNpz(path, { ...mixtureArrays(fit), ...space }, { force });
}

/**
 * Reads a mixture as `saveMixture` or `numpy.savez(..., weights_=…, means_=…, covariances_=…)` wrote it, and all arrays
 * of the file. @throws UserError as `mixtureFrom`, and for an unreadable file.
 */
export async function loadMixture(path: string): Promise<{ mixture: Mixture; arrays: Record<string, NdArray> }> {
  const arrays = await readNpz(path);
  return { mixture: mixtureFrom(path, arrays), arrays };
}

/**
 * The mixture in arrays weights_ [components], means_ [components, dims] and covariances_, whose shape tells the type where
 * `covariance_type` does not. @throws UserError naming `path` for missing arrays, shapes that do not fit together, numbers
 * that are not finite, and weights that are not probabilities.
 */
export function mixtureFrom(path: string, arrays: Record<string, NdArray>): Mixture {
  const weights = needed(path, arrays, 'weights_');
  const means = needed(path, arrays, 'means_');
  const covariances = needed(path, arrays, 'covariances_');
  const [components, dims] = means.shape;
  if (means.shape.length !== 2 || weights.shape.length !== 1 || weights.shape[0] !== components)
    throw new UserError(
      `${path}: means_ [${means.shape.join(', ')}] and weights_ [${weights.shape.join(', ')}] do not fit together`,
    );
  const covarianceType = typeOf(path, arrays, components, dims);
  const mixture = {
    covarianceType,
    components,
    dims,
    weights: asFloat64(weights.data),
    means: asFloat64(means.data),
    covariances: asFloat64(covariances.data),
  };
  const numbers = [mixture.weights, mixture.means, mixture.covariances];
  if (!numbers.every(array => array.every(Number.isFinite)))
    throw new UserError(`${path}: the mixture holds NaN or infinity`);
  if (Math.abs(mixture.weights.reduce((a, b) => a + b, 0) - 1) > 1e-3 || mixture.weights.some(weight => weight < 0))
    throw new UserError(`${path}: weights_ are not probabilities: they must be 0 or more and sum to 1`);
  return mixture;
}

function needed(path: string, arrays: Record<string, NdArray | undefined>, name: string): NdArray {
  const array = arrays[name];
  if (!array)
    throw new UserError(
      `${path}: holds no ${name}; a mixture needs weights_, means_ and covariances_ in scikit-learn’s shapes`,
    );
  return array;
}

function typeOf(path: string, arrays: Record<string, NdArray>, components: number, dims: number): CovarianceType {
  const { shape, data } = arrays.covariances_;
  const stated = (arrays as Record<string, NdArray | undefined>).covariance_type;
  if (stated) {
    const name = Buffer.from(stated.data as Uint8Array).toString('latin1') as CovarianceType;
    if (COVARIANCE_TYPES.includes(name) && data.length === covarianceCount(name, components, dims)) return name;
  } else {
    const fits = COVARIANCE_TYPES.filter(type => covarianceShape(type, components, dims).join() === shape.join());
    // As many components as dimensions: [d, d] may be one matrix, or variances.
    const type = fits.length > 1 ? fits.find(type => COVARIANCES[type].accepts(asFloat64(data), dims)) : fits.at(0);
    if (type) return type;
  }
  throw new UserError(
    `${path}: covariances_ [${shape.join(', ')}] do not fit ${components} components in ${dims} dimensions`,
  );
}

import { UserError } from '../base/index.js';
import { asFloat64, readNpz, writeNpz, type NdArray } from '../io/index.js';
import { COVARIANCES, covarianceCount, covarianceShape, precisionFactors } from './covariance/index.js';
import type { Mixture } from './mixture.js';
import { COVARIANCE_TYPES, type CovarianceType } from './names.js';
import type { Fit } from './run.js';

export type FitSummary = Pick<Fit, 'mixture' | 'converged' | 'iterations'> & { lowerBound: number };

/** How rows become what a mixture was fitted to: x → ((x − mean) · componentsᵀ) / scale, either part optional. */
export interface MixtureSpace {
  /** Numbers per row before and after. */
  width: number;
  dims: number;
  /** [width] */
  mean: Float64Array;
  /** [dims, width] */
  components?: Float64Array;
  /** [dims] */
  scale?: Float64Array;
  /** Variances along the components, [dims]; written for scikit-learn, not read back. */
  spectrum?: Float64Array;
}

/** A mixture and, where its file says so, the space it lives in. */
export interface SavedMixture {
  mixture: Mixture;
  space?: MixtureSpace | undefined;
}

const float64 = (shape: number[], data: Float64Array): NdArray => ({ shape, dtype: 'float64', data });

/**
 * The arrays of a mixture under the names and in the shapes of scikit-learn's GaussianMixture; the type of its
 * covariances as bytes: `bytes(file['covariance_type']).decode()`.
 */
export function mixtureArrays(mixture: Mixture): Record<string, NdArray> {
  const { covarianceType, components, dims, weights, means, covariances } = mixture;
  return {
    covariance_type: {
      shape: [covarianceType.length],
      dtype: 'uint8',
      data: new Uint8Array(Buffer.from(covarianceType)),
    },
    weights_: float64([components], weights),
    means_: float64([components, dims], means),
    covariances_: float64(covarianceShape(covarianceType, components, dims), covariances),
  };
}

function spaceArrays({ width, dims, mean, components, scale, spectrum }: MixtureSpace): Record<string, NdArray> {
  return {
    mean_: float64([width], mean),
    ...(components && { components_: float64([dims, width], components.slice()) }),
    ...(spectrum && { explained_variance_: float64([dims], spectrum) }),
    ...(scale && { scale_: float64([dims], scale) }),
  };
}

function spaceFrom(arrays: Record<string, NdArray | undefined>): MixtureSpace | undefined {
  const { mean_: mean, components_: components, scale_: scale } = arrays;
  if (!mean) return undefined;
  const width = mean.shape[0];
  return {
    width,
    dims: components?.shape[0] ?? width,
    mean: mean.data as Float64Array,
    ...(components && { components: components.data as Float64Array }),
    ...(scale && { scale: scale.data as Float64Array }),
  };
}

/**
 * Writes a mixture, and the space it lives in, as one .npz.
 * @throws UserError for a covariance that is not positive definite, which has no precision, and where the file exists
 * and `force` is off.
 */
export async function saveMixture(
  path: string,
  { mixture, converged, iterations, lowerBound }: FitSummary,
  { space, force = false }: { space?: MixtureSpace; force?: boolean } = {},
): Promise<void> {
  const arrays = mixtureArrays(mixture);
  const fit: Record<string, NdArray> = {
    precisions_cholesky_: float64(arrays.covariances_.shape, precisionFactors(mixture)),
    converged_: { shape: [], dtype: 'bool', data: Uint8Array.of(Number(converged)) },
    n_iter_: { shape: [], dtype: 'int32', data: Int32Array.of(iterations) },
    lower_bound_: float64([], Float64Array.of(lowerBound)),
  };
  await writeNpz(path, { ...arrays, ...fit, ...(space && spaceArrays(space)) }, { force });
}

/**
 * Reads a mixture as `saveMixture` or `numpy.savez(..., weights_=…, means_=…, covariances_=…)` wrote it, and its space
 * where the file describes one (`mean_`, and `components_` and `scale_` where there are any).
 * @throws UserError as `mixtureFrom`, and for an unreadable file.
 */
export async function loadMixture(path: string): Promise<SavedMixture> {
  const arrays = await readNpz(path);
  const space = spaceFrom(arrays);
  return { mixture: mixtureFrom(path, arrays), space };
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

import { UserError } from '../../base/index.js';
import { holdsImages } from '../../data/index.js';
import type { FeatureSet } from '../../features/index.js';
import { asFloat64, openNpz, type NpzFile } from '../../io/index.js';
import type { FeatureMoments } from '../../metrics/index.js';

export interface ReferenceStatistics {
  /** Absent where there are none. */
  moments?: Partial<Record<FeatureSet, FeatureMoments>>;
  /** Whether the same archive has images, as ADM's reference batches do. */
  hasImages: boolean;
}

/** Under which names a mean and a covariance are kept: pytorch-fid's and clean-fid's, and ADM's of the spatial features. */
const STATISTICS: readonly [set: FeatureSet, mean: string, covariance: string][] = [
  ['pooled', 'mu', 'sigma'],
  ['spatial', 'mu_s', 'sigma_s'],
];

/** Statistics of features in a `.npz`; other arrays in it are ignored. @throws UserError if half of a pair is missing. */
export async function statisticsIn(path: string): Promise<ReferenceStatistics> {
  const npz = await openNpz(path);
  try {
    const has = (name: string): boolean => npz.names.includes(name);
    const moments: Partial<Record<FeatureSet, FeatureMoments>> = {};
    for (const [set, mean, covariance] of STATISTICS) {
      if (has(mean) && has(covariance)) moments[set] = await momentsOf(npz, mean, covariance);
      else if (has(mean) || has(covariance))
        throw new UserError(
          `${path}: holds ${npz.names.join(', ')}; statistics are a mean and a covariance (mu and sigma, mu_s and sigma_s)`,
        );
    }
    const hasImages = await holdsImages(npz);
    return Object.keys(moments).length > 0 ? { moments, hasImages } : { hasImages };
  } finally {
    await npz.close();
  }
}

async function momentsOf(npz: NpzFile, mean: string, covariance: string): Promise<FeatureMoments> {
  const [mu, sigma] = [await npz.read(mean), await npz.read(covariance)];
  const width = mu.data.length;
  if (width === 0 || mu.shape.filter(side => side !== 1).length > 1)
    throw new UserError(`${npz.name}: ${mean} is [${mu.shape.join(', ')}]; a mean is [features]`);
  // NumPy's covariance of one feature is a scalar.
  const isSquare = width === 1 || sigma.shape.slice(-2).join() === `${width},${width}`;
  if (!isSquare || sigma.data.length !== width * width)
    throw new UserError(
      `${npz.name}: ${covariance} is [${sigma.shape.join(', ')}] but ${mean} has ${width} numbers; a covariance is [features, features]`,
    );
  const moments = { mean: asFloat64(mu.data), covariance: asFloat64(sigma.data) };
  if (!moments.mean.every(Number.isFinite) || !moments.covariance.every(Number.isFinite))
    throw new UserError(`${npz.name}: ${mean} or ${covariance} holds NaN or infinity; the statistics are damaged`);
  return moments;
}

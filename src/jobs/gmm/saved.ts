import { join } from 'node:path';
import { UserError } from '../../base/index.js';
import { loadMixture, saveMixture, type SavedMixture } from '../../gmm/index.js';
import type { FittedMixture } from './report.js';
import type { SpaceSettings } from './space.js';

/**
 * Reads the mixture that a sweep starts from.
 * @throws UserError where its space does not fit it, or is neither in the file nor given by the settings.
 */
export async function initialMixture(
  path: string,
  { pca, dims, variance }: Pick<SpaceSettings, 'pca' | 'dims' | 'variance'>,
): Promise<SavedMixture> {
  const initial = await loadMixture(path);
  const { mixture, space } = initial;
  if (space && space.dims !== mixture.dims)
    throw new UserError(`${path}: its mixture has ${mixture.dims} dimensions, its PCA or scaler ${space.dims}`);
  if (!space && pca && dims !== mixture.dims)
    throw new UserError(
      `${path}: describes no space (components_, mean_, scale_), so the space of the rows must be given here: use --dims ${mixture.dims} (not --variance ${variance}) or --no-pca`,
    );
  return initial;
}

/** Saves every winning fit: one as a `.npz`, several into a folder. @throws UserError for several into one file. */
export async function saveFits(target: string, fits: FittedMixture[], force: boolean): Promise<void> {
  const single = target.endsWith('.npz');
  if (single && fits.length > 1)
    throw new UserError(`--save-model ${target}: ${fits.length} mixtures were fitted; name a folder for them`);
  for (const { source, components, fit, space } of fits) {
    const { mixture, converged, iterations, lowerBounds } = fit;
    const { reduction, pca } = space;
    const spectrum = pca?.spectrum.slice(0, reduction.dims);
    await saveMixture(
      single ? target : join(target, `${source}-k${components}.npz`),
      { mixture, converged, iterations, lowerBound: lowerBounds.at(-1)! },
      { space: { ...reduction, ...(spectrum && { spectrum }) }, force },
    );
  }
}

import { FLOOR_TIMES, type FittedMixture } from './report.js';

type Row = Record<string, string | number>;

/** The theorem's constants, under the column names of the paper's authors. */
export const componentRows = (fits: FittedMixture[]): Row[] =>
  fits.flatMap(({ source, components, statistics }) =>
    statistics.map(({ cluster, weight, meanNorm, covarianceNorm, secondMoment, minMeanDistance }) => ({
      source,
      n_components: components,
      cluster,
      weight,
      mean_norm: meanNorm,
      cov_norm: covarianceNorm,
      second_moment: secondMoment,
      min_mean_distance: minMeanDistance,
    })),
  );

/** The lowest diffusion loss that any network can reach, by t, beside that on one standard Gaussian. */
export const floorRows = (fits: FittedMixture[]): Row[] =>
  fits.flatMap(({ source, components, floor }) =>
    FLOOR_TIMES.map((t, i) => ({
      source,
      components,
      t,
      loss: floor![i],
      loss_one_gaussian: 1 / ((1 - t) ** 2 + t ** 2),
    })),
  );

/** Which components merge, in order, and the modes that they converge to. */
export const mergeRows = (fits: FittedMixture[]): Row[] =>
  fits.flatMap(({ source, components, merges, modeOf }) =>
    (merges ?? []).map(merge => ({
      source,
      components,
      ...merge,
      mode_into: modeOf![merge.into],
      mode_from: modeOf![merge.from],
    })),
  );

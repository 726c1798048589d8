import { EXIT, UserError } from '../base/index.js';
import type { RowSource } from '../io/index.js';
import { rowMoments, type Moments, type MomentsOptions } from './moments.js';
import { leadingSpectrum } from './spectrum.js';

/** Principal axes of rows; arrays are double precision, row-major. */
export interface Pca {
  /** Numbers per row. */
  width: number;
  /** As many axes as were asked for; more may be known. */
  dims: number;
  /** Rows it was fitted on. */
  rows: number;
  /** [width] */
  mean: Float64Array;
  /** [known axes, width]: a unit vector per row; its largest entry is positive. */
  components: Float64Array;
  /** [known axes]: variances along them (n − 1 in the denominator), descending. */
  spectrum: Float64Array;
  totalVariance: number;
  /** Largest ‖C v − λ v‖ / λ₁ of the axes. */
  residual: number;
}

/** How many axes: a number, or as few as explain more than a share of the variance. */
export type Dimensions = { dims: number } | { variance: number };

export type PcaOptions = Dimensions & MomentsOptions & { solver?: 'all' | 'block' | undefined };

/** @throws UserError where more axes are asked for than there are, or the rows do not vary. */
export async function fitPca(source: RowSource, options: PcaOptions): Promise<Pca> {
  if (source.rows < 2) throw new UserError(`${source.name}: PCA needs two rows or more`, EXIT.failed);
  const moments = await rowMoments(source, options);
  return principalAxes(source.name, moments, options);
}

export function principalAxes(name: string, moments: Moments, options: Dimensions & Pick<PcaOptions, 'solver'>): Pca {
  const { rows, mean, scatter } = moments;
  const width = mean.length;
  // The scatter's spectrum is the covariance's but for a factor: a second matrix of this size need not be.
  let total = 0;
  for (let i = 0; i < width; i++) total += scatter[i * width + i];
  if (!(total > 0)) throw new UserError(`${name}: its rows are all the same, there is nothing to analyse`, EXIT.failed);
  const most = Math.min(width, rows);
  if ('dims' in options && options.dims > most)
    throw new UserError(
      `${name}: --dims ${options.dims} is more than its ${rows} rows of ${width} numbers allow (${most})`,
    );
  const needed = (values: Float64Array): number | undefined =>
    'dims' in options
      ? values.length >= options.dims
        ? options.dims
        : undefined
      : dimensionsFor(values, total, options.variance);
  const found = leadingSpectrum(scatter, width, {
    enough: values => needed(values) !== undefined,
    solver: options.solver,
  });
  const values = found.values.slice(0, most).map(value => Math.max(0, value));
  const dims = needed(values) ?? values.length;
  const spectrum = values.map(value => value / (rows - 1));
  const components = found.vectors.slice(0, spectrum.length * width);
  for (let k = 0; k < spectrum.length; k++) pointUp(components.subarray(k * width, (k + 1) * width));
  const totalVariance = total / (rows - 1);
  return { width, dims, rows, mean, components, spectrum, totalVariance, residual: found.residual };
}

/** The fewest leading variances whose cumulative share is strictly greater than `share`, as scikit-learn counts. */
export function dimensionsFor(spectrum: Float64Array, totalVariance: number, share: number): number | undefined {
  let sum = 0;
  for (let k = 0; k < spectrum.length; k++) {
    sum += spectrum[k];
    if (sum / totalVariance > share) return k + 1;
  }
  return undefined;
}

/** Share of the variance that the first `dims` axes explain. */
export function explainedShare({ spectrum, totalVariance }: Pca, dims: number): number {
  let sum = 0;
  for (let k = 0; k < dims; k++) sum += spectrum[k];
  return sum / totalVariance;
}

/** scikit-learn's rule for signs: an axis' entry of largest magnitude is positive. */
function pointUp(axis: Float64Array): void {
  let largest = 0;
  for (const entry of axis) if (Math.abs(entry) > Math.abs(largest)) largest = entry;
  if (largest < 0) for (let j = 0; j < axis.length; j++) axis[j] = -axis[j];
}

import { EXIT, UserError } from '../base/index.js';
import { alone, byFirst, type Communicator } from '../distributed/index.js';
import type { RowSource } from '../rows/index.js';
import { RowsError } from './errors.js';
import { rowMoments, type Moments, type MomentsOptions } from './moments.js';
import { numericalRank, roundingShare } from './rounding.js';
import { axesOfRows, gramPairs, rowGram, type RowGram } from './row-gram.js';
import { leadingSpectrum } from './spectrum.js';

/** Principal axes of rows; arrays are double precision, row-major. */
export interface Pca {
  /** Numbers per row. */
  width: number;
  /** As many axes as were asked for, unless fewer vary by more than rounding; more may be known. */
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

/**
 * In the smaller of rows and columns. Axes along which rows differ by rounding alone are none, as the last of as many axes
 * as there are rows. @throws RowsError where more axes are asked for than rows or columns allow, and as `rowMoments`;
 * UserError for fewer than two rows and for rows that do not vary.
 */
export async function fitPca(source: RowSource, options: PcaOptions): Promise<Pca> {
  const { name, rows, width } = source;
  if (rows < 2) throw new UserError(`${name}: PCA needs two rows or more`, EXIT.failed);
  if ('dims' in options && options.dims > Math.min(width, rows)) throw tooManyAxes(source, options.dims);
  const { communicator = alone } = options;
  if (rows < width) {
    const gram = await rowGram(source, options);
    return await bySolver(communicator, () => axesFromRows(source, gram, options));
  }
  const moments = await rowMoments(source, options);
  return await bySolver(communicator, () => principalAxes(name, moments, options));
}

/** Rank 0 solves for all ranks: on another processor or with other threads a solver's last digits may differ. */
async function bySolver(communicator: Communicator, solve: () => Promise<Pca> | Pca): Promise<Pca> {
  if (communicator.size === 1) return await solve();
  let solved: Pca | undefined;
  const { lengths, ...numbers } = await byFirst(communicator, async () => {
    const { mean, components, spectrum, ...rest } = (solved = await solve());
    return { ...rest, lengths: [mean, components, spectrum].map(array => array.length) };
  });
  const [mean, components, spectrum] = solved
    ? [solved.mean, solved.components, solved.spectrum]
    : lengths.map(length => new Float64Array(length));
  for (const array of [mean, components, spectrum]) await communicator.broadcast(array);
  return { ...numbers, mean, components, spectrum };
}

function tooManyAxes({ name, rows, width }: RowSource, asked: number): RowsError {
  const most = Math.min(width, rows);
  return new RowsError(
    `${name}: ${asked} axes are more than its ${rows} rows of ${width} numbers allow (${most})`,
    { kind: 'too-many-axes', name, rows, width, asked, most },
    EXIT.usage,
  );
}

async function axesFromRows(source: RowSource, gram: RowGram, options: PcaOptions): Promise<Pca> {
  const { name, rows, width } = source;
  const total = trace(gram.products, rows);
  requireVariance(name, total);
  const pairs = gramPairs(gram);
  const components = await axesOfRows(source, gram.mean, pairs);
  const { mean } = gram;
  return described({ width, rows, mean, total, components, values: pairs.values, all: true, residual: 0 }, options);
}

/**
 * Principal axes from moments that are already known; `name` is the rows' in errors. The scatter is not changed.
 * @throws UserError where the rows do not vary.
 */
function principalAxes(name: string, moments: Moments, options: Dimensions & Pick<PcaOptions, 'solver'>): Pca {
  const { rows, mean, scatter, precision } = moments;
  const width = mean.length;
  // The scatter's spectrum is the covariance's but for a factor: a second matrix of this size need not be.
  const total = trace(scatter, width);
  requireVariance(name, total);
  const found = leadingSpectrum(scatter, width, {
    needed: values => needed(values, total, options),
    solver: options.solver,
  });
  const rank = Math.min(rows - 1, numericalRank(found.values, roundingShare(precision, width)));
  return described(
    {
      width,
      rows,
      mean,
      total,
      values: found.values.slice(0, rank),
      components: found.vectors.slice(0, rank * width),
      all: found.values.length === width,
      residual: found.residual,
    },
    options,
  );
}

/** The warning for rows that vary along fewer axes than requested; undefined if none is missing. */
export const axesLeftOut = ({ dims, rows }: Pca, asked: number): string | undefined =>
  dims < asked
    ? `its ${rows} rows vary along only ${dims} of the ${asked} requested axes; the others are left out`
    : undefined;

function trace(matrix: Float64Array, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += matrix[i * n + i];
  return sum;
}

function requireVariance(name: string, total: number): void {
  if (!(total > 0)) throw new UserError(`${name}: its rows are all the same; there is nothing to analyse`, EXIT.failed);
}

/** How many of these variances the options ask for; undefined where they are too few to tell. */
function needed(values: Float64Array, total: number, options: Dimensions): number | undefined {
  if ('variance' in options) return dimensionsFor(values, total, options.variance);
  return values.length >= options.dims ? options.dims : undefined;
}

/** Eigenpairs of the scatter, descending, as variances and axes with their signs settled. */
interface Pairs extends Pick<Pca, 'width' | 'rows' | 'mean' | 'components' | 'residual'> {
  values: Float64Array;
  /** Whether these are all of the eigenpairs. */
  all: boolean;
  /** The scatter's trace. */
  total: number;
}

function described({ values, all, total, ...pca }: Pairs, options: Dimensions): Pca {
  const { width, rows, components } = pca;
  for (let k = 0; k < values.length; k++) pointUp(components.subarray(k * width, (k + 1) * width));
  const spectrum = values.map(value => value / (rows - 1));
  // Where all are known their own sum is the whole, whose parts then never sum to more.
  const totalVariance = all ? spectrum.reduce((sum, value) => sum + value, 0) : total / (rows - 1);
  const dims = needed(spectrum, totalVariance, options) ?? spectrum.length;
  return { ...pca, dims, spectrum, totalVariance };
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

/** Share of the variance that the first `dims` axes explain, at most 1. */
export function explainedShare({ spectrum, totalVariance }: Pca, dims: number): number {
  let sum = 0;
  for (let k = 0; k < dims; k++) sum += spectrum[k];
  // A block's eigenvalues are rounded apart from the trace that is the whole.
  return Math.min(1, sum / totalVariance);
}

/** scikit-learn's rule for signs: an axis' entry of largest magnitude is positive. */
function pointUp(axis: Float64Array): void {
  let largest = 0;
  for (const entry of axis) if (Math.abs(entry) > Math.abs(largest)) largest = entry;
  if (largest < 0) for (let j = 0; j < axis.length; j++) axis[j] = -axis[j];
}

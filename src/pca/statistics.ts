import { alone, type Communicator } from '../distributed/index.js';
import { eigenvalues } from '../engine/index.js';
import type { RowSource } from '../rows/index.js';
import { rowMoments, type MomentsOptions } from './moments.js';
import { numericalRank, roundingShare } from './rounding.js';
import { rowGram } from './row-gram.js';

/** Second moments of a latent space, for its measures. */
export interface RowStatistics {
  rows: number;
  /** [width] */
  mean: Float64Array;
  /** Σ (x − mean)² of every column, [width]. */
  squares: Float64Array;
  /** Σ (x − mean)(x − mean)ᵀ, [width, width], unless there are fewer rows than columns. */
  scatter?: Float64Array;
  /** The covariance's eigenvalues (n − 1 in the denominator), descending; 0 where there is only rounding. [width]. Rank 0 solves for all. */
  spectrum: () => Promise<Float64Array>;
}

/** Computed in the smaller of rows and columns. @throws RowsError as `rowMoments`. */
export async function rowStatistics(source: RowSource, options: MomentsOptions): Promise<RowStatistics> {
  const { rows, width } = source;
  const { communicator = alone } = options;
  const spectrumFrom = (products: Float64Array, share: number): Promise<Float64Array> =>
    spectrumOf(products, { rows, width, share, communicator });
  if (rows < width) {
    const { mean, squares, products } = await rowGram(source, options);
    const share = roundingShare('float64', rows);
    return { rows, mean, squares, spectrum: () => spectrumFrom(products, share) };
  }
  const { mean, scatter, precision } = await rowMoments(source, options);
  const squares = Float64Array.from({ length: width }, (_, j) => scatter[j * width + j]);
  const share = roundingShare(precision, width);
  return { rows, mean, squares, scatter, spectrum: () => spectrumFrom(scatter, share) };
}

interface Solving {
  rows: number;
  width: number;
  /** Of the largest eigenvalue, that is rounding. */
  share: number;
  communicator: Communicator;
}

/** Of products [n, n] of `rows` centred rows, whose rank is less than their number. */
async function spectrumOf(
  products: Float64Array,
  { rows, width, share, communicator }: Solving,
): Promise<Float64Array> {
  const spectrum = new Float64Array(width);
  if (communicator.rank === 0) {
    const values = eigenvalues(products, Math.sqrt(products.length)).reverse();
    const rank = Math.min(rows - 1, numericalRank(values, share));
    for (let k = 0; k < rank; k++) spectrum[k] = values[k] / (rows - 1);
  }
  await communicator.broadcast(spectrum);
  return spectrum;
}

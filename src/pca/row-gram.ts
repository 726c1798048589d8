import { setImmediate } from 'node:timers/promises';
import { alone } from '../distributed/index.js';
import { eigh, hostMatMul, rowProducts, type FloatRows } from '../engine/index.js';
import { cachedRows, type RowSource } from '../rows/index.js';
import { notFinite, type MomentsOptions } from './moments.js';
import { numericalRank, roundingShare } from './rounding.js';

/**
 * What fewer rows than columns say of their covariance, in the smaller of the two: X Xᵀ of the centred rows has the
 * eigenvalues that Xᵀ X has, but for zeros, in time rows² · width and memory rows · width.
 */
export interface RowGram {
  rows: number;
  /** [width] */
  mean: Float64Array;
  /** Σ (x − mean)² of every column, [width]. */
  squares: Float64Array;
  /** Of the centred rows, [rows, rows]. */
  products: Float64Array;
}

/** Rows that are read more than once are kept in memory up to this, else in a temporary file. */
const MEMORY = 2 ** 30;
/** Numbers of a block of rows that others are multiplied with as they pass by. */
const BLOCK_NUMBERS = 2 ** 26;
/** Numbers that are widened to double precision at a time. */
const CHUNK_NUMBERS = 2 ** 22;

type GramOptions = Pick<MomentsOptions, 'onRows' | 'signal' | 'communicator'>;

/** @throws RowsError where numbers are not finite, counted and located. */
export async function rowGram(source: RowSource, options: GramOptions = {}): Promise<RowGram> {
  const cached = await cachedRows(source, MEMORY);
  try {
    const moments = await columnMoments(cached.rows);
    const products = await centredProducts(cached.rows, moments.mean, options);
    return { rows: source.rows, ...moments, products: doublyCentred(products, source.rows) };
  } finally {
    await cached.dispose();
  }
}

/** Mean and squares about it of every column: sums about the first row, so that a common offset costs no digits. */
async function columnMoments(source: RowSource): Promise<{ mean: Float64Array; squares: Float64Array }> {
  const { width, rows: count } = source;
  const centre = new Float64Array(width);
  const sums = new Float64Array(width);
  const squares = new Float64Array(width);
  for await (const { start, rows, data } of source.chunks()) {
    if (start === 0) centre.set(data.subarray(0, width));
    for (let i = 0, at = 0; i < rows; i++)
      for (let j = 0; j < width; j++, at++) {
        const x = data[at] - centre[j];
        sums[j] += x;
        squares[j] += x * x;
      }
  }
  if (!squares.every(Number.isFinite)) throw await notFinite(source);
  return {
    mean: centre.map((value, j) => value + sums[j] / count),
    squares: squares.map((square, j) => Math.max(0, square - sums[j] ** 2 / count)),
  };
}

async function centredProducts(
  source: RowSource,
  mean: Float64Array,
  { onRows, signal, communicator = alone }: GramOptions,
): Promise<Float64Array> {
  const { rows: n, width } = source;
  const { rank, size } = communicator;
  // Ranks take pairs of blocks in turn; each pair is one rank's alone, so nothing is rounded when they are put together.
  let pair = 0;
  const products = new Float64Array(n * n);
  const most = Math.max(1, Math.floor(BLOCK_NUMBERS / width));
  for (let start = 0; start < n; start += most) {
    const block = await rowsBetween(source, start, Math.min(n, start + most));
    // Every pair once: with itself, then with the rows behind it.
    if (pair++ % size === rank) {
      const own = await rowProducts(block, block, mean);
      put(products, n, own, { first: start, rows: block.rows }, { first: start, rows: block.rows });
    }
    for await (const chunk of source.chunks({ start: start + block.rows })) {
      signal?.throwIfAborted();
      if (pair++ % size !== rank) continue;
      const other = { rows: chunk.rows, width, data: chunk.data };
      const values = await rowProducts(block, other, mean);
      put(products, n, values, { first: start, rows: block.rows }, { first: chunk.start, rows: chunk.rows });
    }
    signal?.throwIfAborted();
    onRows?.(start + block.rows);
  }
  await communicator.allReduceSum(products);
  return products;
}

async function rowsBetween(source: RowSource, start: number, end: number): Promise<FloatRows> {
  const { width } = source;
  const data = new Float32Array((end - start) * width);
  for await (const chunk of source.chunks({ start, end }))
    data.set(chunk.data.subarray(0, chunk.rows * width), (chunk.start - start) * width);
  return { rows: end - start, width, data };
}

interface Range {
  first: number;
  rows: number;
}

/** Products [a.rows, b.rows] where they belong, and their transpose. */
function put(products: Float64Array, n: number, values: Float64Array, a: Range, b: Range): void {
  for (let i = 0; i < a.rows; i++)
    for (let j = 0; j < b.rows; j++) {
      const value = values[i * b.rows + j];
      products[(a.first + i) * n + b.first + j] = value;
      products[(b.first + j) * n + a.first + i] = value;
    }
}

/** Removes the rounding error of the rows' sum, in place, so that the rows' products with it are zero. */
function doublyCentred(products: Float64Array, n: number): Float64Array {
  const means = new Float64Array(n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) means[i] += products[i * n + j] / n;
  const overall = means.reduce((sum, value) => sum + value / n, 0);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) products[i * n + j] += overall - means[i] - means[j];
  return products;
}

/** Eigenvectors uₖ of X Xᵀ with their values λₖ → the unit axes Xᵀ uₖ / √λₖ of the columns, [axes, width]. */
export async function axesOfRows(
  source: RowSource,
  mean: Float64Array,
  { values, vectors }: { values: Float64Array; vectors: Float64Array },
): Promise<Float64Array> {
  const { width, rows: n } = source;
  const axes = new Float64Array(values.length * width);
  const chunkRows = Math.max(1, Math.floor(CHUNK_NUMBERS / width));
  for await (const { start, rows, data } of source.chunks({ chunkRows })) {
    const weights = new Float64Array(values.length * rows);
    for (let k = 0; k < values.length; k++)
      for (let i = 0; i < rows; i++) weights[k * rows + i] = vectors[k * n + start + i] / Math.sqrt(values[k]);
    const centred = Float64Array.from(data.subarray(0, rows * width), (value, at) => value - mean[at % width]);
    const part = hostMatMul(weights, centred, { m: values.length, k: rows, n: width });
    for (let at = 0; at < axes.length; at++) axes[at] += part[at];
    await setImmediate();
  }
  return axes;
}

/** The eigenpairs of the products that are more than rounding, descending; vectors [pairs, rows]. */
export function gramPairs({ products, rows }: RowGram): { values: Float64Array; vectors: Float64Array } {
  const found = eigh(products, rows);
  const values = found.values.reverse();
  // The rows' mean is taken out, so one direction is none.
  const rank = Math.min(rows - 1, numericalRank(values, roundingShare('float64', rows)));
  const vectors = new Float64Array(rank * rows);
  for (let k = 0; k < rank; k++)
    for (let i = 0; i < rows; i++) vectors[k * rows + i] = found.vectors[i * rows + rows - 1 - k];
  return { values: values.slice(0, rank), vectors };
}

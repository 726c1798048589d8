import { gathered, type Communicator } from '../distributed/index.js';
import { eigh, hostMatMul, matMul, rowProducts, tf, type Tensor2D } from '../engine/index.js';
import { blocksOfAll, heldRows, type FeatureMatrix } from './matrix.js';

/** Orthogonal axes of the features, and the mean square along each: XᵀX / rows ≈ basis · diag(spectrum) · basisᵀ. */
export interface Axes {
  /** [features, axes], an axis per column; undefined: the features themselves. */
  basis: Tensor2D | undefined;
  /** [axes] */
  spectrum: Float64Array;
  dispose(): void;
}

/** The features' own axes; nothing is said of how they depend on each other. */
export async function featureAxes({ communicator, blocks, rows, width }: FeatureMatrix): Promise<Axes> {
  const spectrum = new Float64Array(width);
  for (const { x } of blocks) {
    const squares = tf.tidy(() => x.square().sum(0));
    const sums = await squares.data();
    squares.dispose();
    for (let j = 0; j < width; j++) spectrum[j] += sums[j] / rows;
  }
  await communicator.allReduceSum(spectrum);
  return { basis: undefined, spectrum, dispose: () => undefined };
}

/** Rows per feature that its axes are found from. More make them no better where they only guide a search. */
const ROWS_PER_FEATURE = 16;

export const rowsForAxes = ({ rows, width }: FeatureMatrix): number => Math.min(rows, ROWS_PER_FEATURE * width);

/** The principal axes: along these the features are all but uncorrelated. Worked out in the smaller of rows and columns. */
export const principalAxes = (data: FeatureMatrix): Promise<Axes> =>
  data.rows < data.width ? axesOfRows(data) : axesOfColumns(data);

/** From the second moments of every so many rows, counted over all ranks. */
async function axesOfColumns(data: FeatureMatrix): Promise<Axes> {
  const { communicator, blocks, rows, width } = data;
  const stride = Math.max(1, Math.floor(rows / rowsForAxes(data)));
  const moments = new Float64Array(width * width);
  for (const { x, start } of blocks) {
    const first = (stride - (start % stride)) % stride;
    if (first >= x.shape[0]) continue;
    const product = tf.tidy(() => {
      const some = stride === 1 ? x : tf.stridedSlice(x, [first, 0], x.shape, [stride, 1]);
      return matMul(some, some, { transposeA: true });
    });
    const values = await product.data();
    product.dispose();
    for (let i = 0; i < values.length; i++) moments[i] += (values[i] * stride) / rows;
  }
  await communicator.allReduceSum(moments);
  const { values, vectors } = await eighOfFirst(communicator, moments, width);
  // Rounding leaves axes without variance a little below zero.
  const spectrum = values.map(value => Math.max(0, value));
  return axesOf(spectrum, vectors, width);
}

/**
 * Of fewer rows than columns, the axes that they span: X Xᵀ u = λ u gives the unit axis Xᵀ u / √λ. In double precision,
 * so that no direction is lost in which features of single precision differ.
 */
async function axesOfRows(data: FeatureMatrix): Promise<Axes> {
  const { communicator, rows: n, width } = data;
  const own = await ownRows(data);
  const { values, vectors } = await eighOfFirst(communicator, await productsOfRows(data, own), n);
  // Singular values are known to 2⁻²⁴ of the largest, their squares to 2⁻⁴⁸, once per axis.
  const first = values.findIndex(value => value > n * 2 ** -48 * values[n - 1]);
  const kept = first < 0 ? new Float64Array(0) : values.slice(first);
  const count = kept.length;
  const scaled = new Float64Array(own.rows * count);
  for (let i = 0; i < own.rows; i++)
    for (let k = 0; k < count; k++)
      scaled[i * count + k] = vectors[(own.start + i) * n + first + k] / Math.sqrt(kept[k]);
  const shape = { m: width, k: own.rows, n: count, transposeA: true };
  const basis = own.rows > 0 ? hostMatMul(Float64Array.from(own.data), scaled, shape) : new Float64Array(width * count);
  await communicator.allReduceSum(basis);
  const spectrum = kept.map(value => value / n);
  return axesOf(spectrum, basis, width);
}

interface OwnRows {
  start: number;
  rows: number;
  width: number;
  data: Float32Array;
}

/** The inner products of all rows, [rows, rows]: a rank multiplies its own with everyone's. */
async function productsOfRows(data: FeatureMatrix, own: OwnRows): Promise<Float64Array> {
  const { communicator, rows: n, width } = data;
  const origin = new Float64Array(width);
  if (communicator.size === 1) return await rowProducts(own, own, origin);
  const products = new Float64Array(own.rows * n);
  for await (const { x, start } of blocksOfAll(data)) {
    const others = { rows: x.shape[0], width, data: await x.data<'float32'>() };
    const part = await rowProducts(own, others, origin);
    for (let i = 0; i < own.rows; i++)
      products.set(part.subarray(i * others.rows, (i + 1) * others.rows), i * n + start);
  }
  return await gathered(communicator, products);
}

/** Rank 0's eigenpairs: other processors may give other last digits and signs, and ranks must search along the same axes. */
async function eighOfFirst(communicator: Communicator, matrix: Float64Array, n: number) {
  const found =
    communicator.rank === 0 ? eigh(matrix, n) : { values: new Float64Array(n), vectors: new Float64Array(n * n) };
  await communicator.broadcast(found.values);
  await communicator.broadcast(found.vectors);
  return found;
}

function axesOf(spectrum: Float64Array, vectors: Float64Array, width: number): Axes {
  const basis = tf.tensor2d(Float32Array.from(vectors), [width, spectrum.length]);
  return { basis, spectrum, dispose: () => basis.dispose() };
}

async function ownRows(matrix: FeatureMatrix): Promise<OwnRows> {
  const { start, end } = heldRows(matrix);
  const { blocks, width } = matrix;
  const data = new Float32Array((end - start) * width);
  for (const block of blocks) data.set(await block.x.data<'float32'>(), (block.start - start) * width);
  return { start, rows: end - start, width, data };
}

import { eigh, hostMatMul, matMul, rowProducts, tf, type Tensor2D } from '../engine/index.js';
import type { FeatureMatrix } from './matrix.js';

/** Orthogonal axes of the features, and the mean square along each: XᵀX / rows ≈ basis · diag(spectrum) · basisᵀ. */
export interface Axes {
  /** [features, axes], an axis per column; undefined: the features themselves. */
  basis: Tensor2D | undefined;
  /** [axes] */
  spectrum: Float64Array;
  dispose(): void;
}

/** The features' own axes; nothing is said of how they depend on each other. */
export async function featureAxes({ blocks, rows, width }: FeatureMatrix): Promise<Axes> {
  const spectrum = new Float64Array(width);
  for (const { x } of blocks) {
    const squares = tf.tidy(() => x.square().sum(0));
    const sums = await squares.data();
    squares.dispose();
    for (let j = 0; j < width; j++) spectrum[j] += sums[j] / rows;
  }
  return { basis: undefined, spectrum, dispose: () => undefined };
}

/** Rows per feature that its axes are found from. More make them no better where they only guide a search. */
const ROWS_PER_FEATURE = 16;

export const rowsForAxes = ({ rows, width }: FeatureMatrix): number => Math.min(rows, ROWS_PER_FEATURE * width);

/** The principal axes: along these the features are all but uncorrelated. Worked out in the smaller of rows and columns. */
export const principalAxes = (data: FeatureMatrix): Promise<Axes> =>
  data.rows < data.width ? axesOfRows(data) : axesOfColumns(data);

/** From the second moments of every so many rows. */
async function axesOfColumns(data: FeatureMatrix): Promise<Axes> {
  const { blocks, rows, width } = data;
  const stride = Math.max(1, Math.floor(rows / rowsForAxes(data)));
  const moments = new Float64Array(width * width);
  for (const { x } of blocks) {
    const product = tf.tidy(() => {
      const some = stride === 1 ? x : tf.stridedSlice(x, [0, 0], x.shape, [stride, 1]);
      return matMul(some, some, { transposeA: true });
    });
    const values = await product.data();
    product.dispose();
    for (let i = 0; i < values.length; i++) moments[i] += (values[i] * stride) / rows;
  }
  const { values, vectors } = eigh(moments, width);
  // Rounding leaves axes without variance a little below zero.
  return axesOf(
    values.map(value => Math.max(0, value)),
    vectors,
    width,
  );
}

/**
 * Of fewer rows than columns, the axes that they span: X Xᵀ u = λ u gives the unit axis Xᵀ u / √λ. In double precision,
 * so that no direction is lost in which features of single precision differ.
 */
async function axesOfRows(data: FeatureMatrix): Promise<Axes> {
  const { rows: n, width } = data;
  const x = await hostRows(data);
  const all = { rows: n, width, data: x };
  const { values, vectors } = eigh(await rowProducts(all, all, new Float64Array(width)), n);
  // Singular values are known to 2⁻²⁴ of the largest, their squares to 2⁻⁴⁸, once per axis.
  const first = values.findIndex(value => value > n * 2 ** -48 * values[n - 1]);
  const kept = first < 0 ? new Float64Array(0) : values.slice(first);
  const count = kept.length;
  const scaled = new Float64Array(n * count);
  for (let i = 0; i < n; i++)
    for (let k = 0; k < count; k++) scaled[i * count + k] = vectors[i * n + first + k] / Math.sqrt(kept[k]);
  const basis = hostMatMul(Float64Array.from(x), scaled, { m: width, k: n, n: count, transposeA: true });
  return axesOf(
    kept.map(value => value / n),
    basis,
    width,
  );
}

function axesOf(spectrum: Float64Array, vectors: Float64Array, width: number): Axes {
  const basis = tf.tensor2d(Float32Array.from(vectors), [width, spectrum.length]);
  return { basis, spectrum, dispose: () => basis.dispose() };
}

async function hostRows({ blocks, rows, width }: FeatureMatrix): Promise<Float32Array> {
  const all = new Float32Array(rows * width);
  for (const { x, start } of blocks) all.set(await x.data(), start * width);
  return all;
}

import { eigh, matMul, tf, type Tensor2D } from '../engine/index.js';
import type { FeatureMatrix } from './matrix.js';

/** Orthogonal axes of the features, and the mean square along each: XᵀX / rows ≈ basis · diag(spectrum) · basisᵀ. */
export interface Axes {
  /** [features, features], an axis per column; undefined: the features themselves. */
  basis: Tensor2D | undefined;
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

/** The principal axes, of every so many rows: along these the features are all but uncorrelated. */
export async function principalAxes(data: FeatureMatrix): Promise<Axes> {
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
  const basis = tf.tensor2d(Float32Array.from(vectors), [width, width]);
  // Rounding leaves axes without variance a little below zero.
  return { basis, spectrum: values.map(value => Math.max(0, value)), dispose: () => basis.dispose() };
}

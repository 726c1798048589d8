import { tf, type Tensor2D } from '../engine/index.js';
import type { RowSource } from '../rows/index.js';

/** Features of labelled images on the engine, in blocks of rows, standardised by the training rows' statistics. */
export interface FeatureMatrix {
  rows: number;
  width: number;
  labels: Int32Array;
  blocks: { x: Tensor2D; start: number }[];
  dispose(): void;
}

/** Per column; a column that does not vary has scale 1. */
export interface Standardisation {
  mean: Float64Array;
  scale: Float64Array;
}

/** Leaves features of this width as they are. */
export const unscaled = (width: number): Standardisation => ({
  mean: new Float64Array(width),
  scale: new Float64Array(width).fill(1),
});

/** 64 MiB of float32 a block: large enough for the matrix products, small enough for their temporaries. */
const BLOCK_NUMBERS = 2 ** 24;

/** Means and standard deviations of the rows, in float64. */
export async function standardisation(source: RowSource): Promise<Standardisation> {
  const { width, rows } = source;
  const mean = new Float64Array(width);
  const squares = new Float64Array(width);
  let shift: Float32Array | undefined;
  for await (const { rows: count, data } of source.chunks()) {
    // Sums about the first row, so that a large common offset costs no digits.
    shift ??= data.slice(0, width);
    for (let i = 0, at = 0; i < count; i++) {
      for (let j = 0; j < width; j++, at++) {
        const d = data[at] - shift[j];
        mean[j] += d;
        squares[j] += d * d;
      }
    }
  }
  const scale = new Float64Array(width);
  for (let j = 0; j < width; j++) {
    const offset = mean[j] / rows;
    const variance = squares[j] / rows - offset * offset;
    mean[j] = offset + (shift?.[j] ?? 0);
    // For a constant column all differences, and so the variance, are exactly 0.
    scale[j] = variance > 0 ? Math.sqrt(variance) : 1;
  }
  return { mean, scale };
}

/** Loads the rows as (x − mean) / scale. Needs rows · width · 4 bytes of the engine's memory. */
export async function featureMatrix(
  source: RowSource,
  labels: Int32Array,
  { mean, scale }: Standardisation,
): Promise<FeatureMatrix> {
  const { width, rows } = source;
  const blocks: FeatureMatrix['blocks'] = [];
  const chunkRows = Math.max(1, Math.floor(BLOCK_NUMBERS / width));
  for await (const { start, rows: count, data } of source.chunks({ chunkRows })) {
    // In double precision: an offset far above the deviation would leave single precision few digits.
    const scaled = new Float32Array(count * width);
    for (let i = 0, at = 0; i < count; i++)
      for (let j = 0; j < width; j++, at++) scaled[at] = (data[at] - mean[j]) / scale[j];
    blocks.push({ x: tf.tensor2d(scaled, [count, width]), start });
  }
  return { rows, width, labels, blocks, dispose: () => tf.dispose(blocks.map(({ x }) => x)) };
}

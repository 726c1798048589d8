import { alone, gathered, gatherValues, shareOf, type Communicator, type Share } from '../distributed/index.js';
import { tensorArray, tf, type Tensor2D } from '../engine/index.js';
import type { RowSource } from '../rows/index.js';

/**
 * Features of labelled images on the engine, in blocks of rows, standardised by the training rows' statistics. Ranks
 * hold a stretch of the rows each.
 */
export interface FeatureMatrix {
  communicator: Communicator;
  /** Of all ranks. */
  rows: number;
  width: number;
  /** Of all rows. */
  labels: Int32Array;
  /** This rank's rows, `start` counted among all. */
  blocks: FeatureBlock[];
  dispose(): void;
}

export interface FeatureBlock {
  x: Tensor2D;
  start: number;
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

/** Means and standard deviations of the rows, in float64. Of several ranks each reads a share. */
export async function standardisation(source: RowSource, communicator = alone): Promise<Standardisation> {
  const { width, rows } = source;
  const mean = new Float64Array(width);
  const squares = new Float64Array(width);
  // Sums about the first row, so that a large common offset costs no digits.
  const shift = await firstRow(source);
  for await (const { rows: count, data } of source.chunks(shareOf(communicator, rows))) {
    for (let i = 0, at = 0; i < count; i++) {
      for (let j = 0; j < width; j++, at++) {
        const d = data[at] - shift[j];
        mean[j] += d;
        squares[j] += d * d;
      }
    }
  }
  await communicator.allReduceSum(mean);
  await communicator.allReduceSum(squares);
  const scale = new Float64Array(width);
  for (let j = 0; j < width; j++) {
    const offset = mean[j] / rows;
    const variance = squares[j] / rows - offset * offset;
    mean[j] = offset + shift[j];
    // For a constant column all differences, and so the variance, are exactly 0.
    scale[j] = variance > 0 ? Math.sqrt(variance) : 1;
  }
  return { mean, scale };
}

async function firstRow(source: RowSource): Promise<Float32Array> {
  for await (const { data } of source.chunks({ end: 1 })) return data.slice(0, source.width);
  return new Float32Array(source.width);
}

/** Loads a rank's share of the rows as (x − mean) / scale. Needs rows · width · 4 bytes of the engine's memory. */
export async function featureMatrix(
  source: RowSource,
  labels: Int32Array,
  { mean, scale }: Standardisation,
  communicator = alone,
): Promise<FeatureMatrix> {
  const { width, rows } = source;
  const blocks: FeatureBlock[] = [];
  const chunkRows = Math.max(1, Math.floor(BLOCK_NUMBERS / width));
  for await (const chunk of source.chunks({ chunkRows, ...shareOf(communicator, rows) })) {
    const { start, rows: count, data } = chunk;
    // In double precision: an offset far above the deviation would leave single precision few digits.
    const scaled = tensorArray(count * width);
    for (let i = 0, at = 0; i < count; i++)
      for (let j = 0; j < width; j++, at++) scaled[at] = (data[at] - mean[j]) / scale[j];
    blocks.push({ x: tf.tensor2d(scaled, [count, width]), start });
  }
  return { communicator, rows, width, labels, blocks, dispose: () => tf.dispose(blocks.map(({ x }) => x)) };
}

/** The stretch of the rows that this rank holds. */
export const heldRows = ({ communicator, rows }: FeatureMatrix): Share => shareOf(communicator, rows);

/** Scores [rows, classes] of all rows on every rank, each of which computes those of its own, block by block. */
export async function scoresOfRows(
  data: FeatureMatrix,
  classes: number,
  scoresOf: (x: Tensor2D) => Promise<Float32Array>,
): Promise<Float32Array> {
  const held = heldRows(data);
  const own = new Float32Array((held.end - held.start) * classes);
  for (const { x, start } of data.blocks) own.set(await scoresOf(x), (start - held.start) * classes);
  return await gathered(data.communicator, own);
}

/** The blocks of all ranks, one after the other on every rank, which frees each before the next. */
export async function* blocksOfAll({ communicator, blocks, width }: FeatureMatrix): AsyncGenerator<FeatureBlock> {
  if (communicator.size === 1) {
    yield* blocks;
    return;
  }
  const all = await gatherValues(
    communicator,
    blocks.map(({ x, start }) => ({ start, rows: x.shape[0] })),
  );
  for (const [root, theirs] of all.entries())
    for (const [i, { start, rows }] of theirs.entries()) {
      const data = root === communicator.rank ? await blocks[i].x.data<'float32'>() : new Float32Array(rows * width);
      await communicator.broadcast(data, root);
      const x = tf.tensor2d(data, [rows, width]);
      try {
        yield { x, start };
      } finally {
        x.dispose();
      }
    }
}

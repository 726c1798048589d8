import { gatherParts, shareOf } from '../distributed/index.js';
import { tf, type Tensor, type Tensor2D } from '../engine/index.js';
import type { FeatureMatrix } from './matrix.js';
import { summedOverRanks } from './sums.js';

/** Rows of a minibatch, or what of it a rank works on; the caller disposes of x. */
export interface Batch {
  x: Tensor2D;
  labels: Int32Array;
  /** Of the whole batch. */
  rows: number;
  /** Whether all of them are here. */
  whole: boolean;
  /** What such parts of the batch add up to, from this one's tensors, which are disposed of. */
  summed: (tensors: Tensor[]) => Promise<Tensor[]>;
}

/** Takes batches from the rows that the ranks hold. */
export interface RowsHere {
  /** Those rows of a batch, by their numbers among all, that this rank holds. */
  part(rows: Int32Array): Batch;
  /** The whole batch, on every rank. */
  whole(rows: Int32Array): Promise<Batch>;
  dispose(): void;
}

export function rowsHere({ communicator, blocks, rows: total, width, labels }: FeatureMatrix): RowsHere {
  const shares = Array.from({ length: communicator.size }, (_, rank) =>
    shareOf({ rank, size: communicator.size }, total),
  );
  const { start, end } = shares[communicator.rank];
  const x = tf.tidy(() => tf.concat2d([tf.zeros([0, width]), ...blocks.map(block => block.x)], 0));
  const labelsOf = (rows: Int32Array): Int32Array => rows.map(row => labels[row]);
  const taken = (rows: Int32Array): Tensor2D =>
    rows.length === 0
      ? tf.zeros([0, width])
      : tf.tidy(() =>
          tf.gather(
            x,
            tf.tensor1d(
              rows.map(row => row - start),
              'int32',
            ),
          ),
        );
  const alone = communicator.size === 1;
  const part = (rows: Int32Array): Batch => {
    const own = rows.filter(row => row >= start && row < end);
    return {
      x: taken(own),
      labels: labelsOf(own),
      rows: rows.length,
      whole: alone,
      summed: tensors => summedOverRanks(communicator, tensors),
    };
  };
  return {
    part,
    async whole(rows) {
      const own = part(rows);
      if (alone) return own;
      const parts = await gatherParts(communicator, await own.x.data<'float32'>());
      own.x.dispose();
      return {
        x: tf.tensor2d(inOrder(rows, parts, shares, width), [rows.length, width]),
        labels: labelsOf(rows),
        rows: rows.length,
        whole: true,
        summed: tensors => Promise.resolve(tensors),
      };
    },
    dispose: () => x.dispose(),
  };
}

/** The batch, from the parts of ranks, each in the batch's order. */
function inOrder(
  rows: Int32Array,
  parts: Float32Array[],
  shares: readonly { start: number; end: number }[],
  width: number,
): Float32Array {
  const out = new Float32Array(rows.length * width);
  const next = new Int32Array(parts.length);
  rows.forEach((row, i) => {
    const rank = shares.findIndex(({ end }) => row < end);
    out.set(parts[rank].subarray(next[rank] * width, ++next[rank] * width), i * width);
  });
  return out;
}

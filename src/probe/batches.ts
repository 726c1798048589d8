import type { RandomNumbers } from '../base/index.js';
import { gathered, shareOf } from '../distributed/index.js';
import { tf, type Tensor, type Tensor2D } from '../engine/index.js';
import type { FeatureBlock, FeatureMatrix } from './matrix.js';
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

/** Takes batches, ascending numbers of rows among all, from the rows that the ranks hold. */
export interface RowsHere {
  /** Those of a batch that this rank holds. */
  part(rows: Int32Array): Batch;
  /** The whole batch, on every rank. */
  whole(rows: Int32Array): Promise<Batch>;
}

export function rowsHere({ communicator, blocks, rows: total, width, labels }: FeatureMatrix): RowsHere {
  const { start, end } = shareOf(communicator, total);
  const alone = communicator.size === 1;
  const labelsOf = (rows: Int32Array): Int32Array => rows.map(row => labels[row]);
  const taken = (rows: Int32Array): Tensor2D =>
    tf.tidy(() => tf.concat2d([tf.zeros([0, width]), ...blocks.map(block => rowsOf(block, rows))], 0));
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
      // Ranks hold ascending stretches, so that theirs follow each other.
      const all = await gathered(communicator, await own.x.data<'float32'>());
      own.x.dispose();
      return {
        x: tf.tensor2d(all, [rows.length, width]),
        labels: labelsOf(rows),
        rows: rows.length,
        whole: true,
        summed: tensors => Promise.resolve(tensors),
      };
    },
  };
}

/** Those of ascending rows that are in a block. */
function rowsOf({ x, start }: FeatureBlock, rows: Int32Array): Tensor2D {
  const own = rows.filter(row => row >= start && row < start + x.shape[0]).map(row => row - start);
  return own.length === 0 ? tf.zeros([0, x.shape[1]]) : tf.gather(x, tf.tensor1d(own, 'int32'));
}

/** Row numbers of a step's batch, ascending: consecutive parts of a fresh permutation per epoch, the rest of which is left out. */
export function rowBatches(rows: number, batch: number, random: RandomNumbers): (step: number) => Int32Array {
  const perEpoch = Math.max(1, Math.floor(rows / batch));
  let epoch = -1;
  let order = new Int32Array(0);
  return step => {
    const wanted = Math.floor(step / perEpoch);
    if (wanted !== epoch) {
      epoch = wanted;
      order = random.at(epoch).permutation(rows) as Int32Array<ArrayBuffer>;
    }
    const at = (step % perEpoch) * batch;
    return order.slice(at, at + batch).sort();
  };
}

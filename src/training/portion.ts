import { UserError } from '../base/index.js';
import type { Communicator, Share } from '../distributed/index.js';
import type { TrainingSettings } from './settings.js';
import type { TrainingTask } from './task.js';

/**
 * What of every step is one rank's. A step's batches are divided among as many groups of ranks as they can be divided
 * evenly; the ranks of a group divide the rows of each of its batches.
 */
export interface Portion {
  /** Of the step's `accumulate` batches. */
  parts: Share;
  /** Of every batch's rows. */
  rows: Share;
  /** Groups of ranks with different batches, and ranks in each, with different rows. */
  groups: number;
  sharers: number;
  /** The batch that follows one of this rank's: after the last of its step the first of the next step. */
  after: (index: number) => number;
}

/** @throws UserError where a step of these settings cannot be divided evenly, which says what can. */
export function portionOf(
  { rank, size }: Pick<Communicator, 'rank' | 'size'>,
  { batchSize, accumulate }: Pick<TrainingSettings, 'batchSize' | 'accumulate'>,
): Portion {
  const groups = commonDivisor(size, accumulate);
  const sharers = size / groups;
  if (batchSize % sharers !== 0) throw uneven(size, batchSize, accumulate);
  const parts = stretch(accumulate / groups, Math.floor(rank / sharers));
  return {
    parts,
    rows: stretch(batchSize / sharers, rank % sharers),
    groups,
    sharers,
    after: index => (index % accumulate === parts.end - 1 ? index + 1 + accumulate - accumulate / groups : index + 1),
  };
}

const stretch = (length: number, at: number): Share => ({ start: at * length, end: (at + 1) * length });

/** @throws UserError where ranks would share the rows of a batch that the loss looks at as a whole. */
export function refuseShared({ wholeBatches }: Pick<TrainingTask, 'wholeBatches'>, { sharers, groups }: Portion): void {
  if (wholeBatches === undefined || sharers === 1) return;
  const ranks = sharers * groups;
  throw new UserError(
    `${wholeBatches}: looks at each batch as a whole, and ${ranks} ranks would have to divide batches; give --accumulate ${ranks} (or a multiple) and a smaller --batch-size, or leave ${wholeBatches} out`,
  );
}

function uneven(size: number, batchSize: number, accumulate: number): UserError {
  const fits = (ranks: number): boolean => batchSize % (ranks / commonDivisor(ranks, accumulate)) === 0;
  const fewer = Array.from({ length: size - 1 }, (_, i) => size - 1 - i).find(fits)!;
  const whole = batchSize * accumulate;
  const other = whole % size === 0 ? `, or choose --accumulate ${size} --batch-size ${whole / size}` : '';
  return new UserError(
    `${size} ranks cannot share a step of ${accumulate} × ${batchSize} samples evenly (--accumulate, --batch-size); start ${fewer}${other}`,
  );
}

const commonDivisor = (a: number, b: number): number => (b === 0 ? a : commonDivisor(b, a % b));

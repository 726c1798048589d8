import type { Communicator } from './communicator.js';

/** A stretch of consecutive things: from `start` to before `end`. */
export interface Share {
  start: number;
  end: number;
}

/**
 * The stretch of `count` things that is a rank's: those of all ranks follow each other and differ in length by at most one
 * `unit`. Every stretch but the last is a multiple of `unit`; there may be nothing left for the last ranks.
 */
export function shareOf({ rank, size }: Pick<Communicator, 'rank' | 'size'>, count: number, unit = 1): Share {
  const units = Math.ceil(count / unit);
  const least = Math.floor(units / size);
  const longer = units % size;
  const first = rank * least + Math.min(rank, longer);
  const last = first + least + (rank < longer ? 1 : 0);
  return { start: Math.min(count, first * unit), end: Math.min(count, last * unit) };
}

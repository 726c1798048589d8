import type { Communicator } from './communicator.js';

/** A stretch of consecutive things: from `start` to before `end`. */
export interface Share {
  start: number;
  end: number;
}

type Place = Pick<Communicator, 'rank' | 'size'>;

/** Things of which each rank has a share. */
export interface OfRanks {
  communicator: Communicator;
  share: Share;
}

/**
 * The stretch of `count` things that is a rank's: those of all ranks follow each other and differ in length by at most one
 * `unit`. Every stretch but the last is a multiple of `unit`; there may be nothing left for the last ranks.
 */
export function shareOf({ rank, size }: Place, count: number, unit = 1): Share {
  const units = Math.ceil(count / unit);
  const least = Math.floor(units / size);
  const longer = units % size;
  const first = rank * least + Math.min(rank, longer);
  const last = first + least + (rank < longer ? 1 : 0);
  return { start: Math.min(count, first * unit), end: Math.min(count, last * unit) };
}

/** The same of stretches in ascending order, such as what is left of a work: all are cut at multiples of `unit` alone. */
export function shareOfStretches(place: Place, stretches: readonly Share[], unit = 1): Share[] {
  const pieces = cutAtMultiples(stretches, unit);
  const { start, end } = shareOf(place, pieces.length);
  const joined: Share[] = [];
  for (const piece of pieces.slice(start, end)) {
    const last = joined.at(-1);
    if (last?.end === piece.start) last.end = piece.end;
    else joined.push(piece);
  }
  return joined;
}

/** Stretches in pieces between neighbouring multiples of `unit`. */
export function cutAtMultiples(stretches: readonly Share[], unit: number): Share[] {
  const pieces: Share[] = [];
  for (const { start, end } of stretches)
    for (let from = start; from < end; from = pieces.at(-1)!.end)
      pieces.push({ start: from, end: Math.min(end, (Math.floor(from / unit) + 1) * unit) });
  return pieces;
}

/** Whose work is counted, for messages and progress: nothing to say where a process is alone. */
export const ofRank = ({ rank, size }: Place): string => (size === 1 ? '' : ` (rank ${rank} of ${size})`);

import type { Communicator } from '../communicator.js';
import { shareOf } from '../share.js';
import type { Calls, Parts } from './calls.js';

/** What all ranks do together with an array of `length` numbers or bytes at an address. */
export type Operation =
  | { kind: 'sum'; at: bigint; length: number; type: 'float' | 'double' }
  | { kind: 'broadcast'; at: bigint; length: number; root: number }
  | { kind: 'gather'; at: bigint; length: number }
  | { kind: 'barrier' };

/** Of a gather, the bytes of every rank. */
export type Outcome = Uint8Array[] | undefined;

const WIDTH = { float: 4, double: 8 };

/** So many bytes go into one call, whose counts are of 32 bits. */
const LONGEST = 1 << 30;

type Place = Pick<Communicator, 'rank' | 'size'>;

export function carryOut(calls: Calls, place: Place, operation: Operation): Outcome {
  if (operation.kind === 'gather') return gather(calls, place, operation);
  if (operation.kind === 'sum') sum(calls, place, operation);
  else if (operation.kind === 'broadcast') broadcast(calls, operation);
  else calls.barrier();
  return undefined;
}

/**
 * Each rank gets everyone's numbers of its share, adds them up and gives the sums to all: 2 (N − 1) / N of the bytes pass through
 * each link, and the terms are added in the order of ranks whatever the library and the length.
 */
function sum(calls: Calls, { rank, size }: Place, { at, length, type }: Operation & { kind: 'sum' }): void {
  const shares = partsOf(Array.from({ length: size }, (_, of) => lengthOf(shareOf({ rank: of, size }, length))));
  const own = shares.counts[rank];
  const terms = new Uint8Array(own * size * WIDTH[type]);
  calls.allToAll(at, shares, terms, partsOf(new Array<number>(size).fill(own)), type);
  const term = (of: number): Uint8Array => terms.subarray(of * own * WIDTH[type]);
  for (let of = 1; of < size; of++) calls.addUp(term(of), terms, own, type);
  calls.allGather(terms, own, at, shares, type);
}

function broadcast(calls: Calls, { at, length, root }: Operation & { kind: 'broadcast' }): void {
  for (let start = 0; start < length; start += LONGEST)
    calls.broadcast(at + BigInt(start), Math.min(LONGEST, length - start), root, 'byte');
}

/** Stretch by stretch, of every rank at once. */
function gather(calls: Calls, { rank, size }: Place, { at, length }: Operation & { kind: 'gather' }): Uint8Array[] {
  const lengths = new Float64Array(size);
  calls.allGather(Float64Array.of(length), 1, lengths, partsOf(new Array<number>(size).fill(1)), 'double');
  const all = Array.from(lengths, bytes => new Uint8Array(bytes));
  const longest = Math.floor(LONGEST / size);
  for (let start = 0; start < Math.max(...lengths); start += longest) {
    const parts = partsOf(Array.from(lengths, bytes => Math.min(longest, Math.max(0, bytes - start))));
    const received = new Uint8Array(parts.counts.reduce((a, b) => a + b, 0));
    calls.allGather(at + BigInt(start), parts.counts[rank], received, parts, 'byte');
    parts.starts.forEach((from, of) => all[of].set(received.subarray(from, from + parts.counts[of]), start));
  }
  return all;
}

const lengthOf = ({ start, end }: { start: number; end: number }): number => end - start;

function partsOf(lengths: number[]): Parts {
  let end = 0;
  const counts = Int32Array.from(lengths);
  return { counts, starts: Int32Array.from(lengths, length => (end += length) - length) };
}

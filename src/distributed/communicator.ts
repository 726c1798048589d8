/**
 * Processes that work on one job together. Every rank calls the same operations in the same order; what an array's
 * operation returns is there on every rank.
 */
export interface Communicator {
  /** Of this process, from 0. */
  readonly rank: number;
  /** Number of processes. */
  readonly size: number;
  /** Adds up an array element by element over all ranks, in place; it has one length on all of them. */
  sum(array: Float32Array | Float64Array): Promise<void>;
  /** Overwrites an array by the one of rank `root`. */
  broadcast(array: Float32Array | Float64Array, root: number): Promise<void>;
  /** Returns once every rank has called it. */
  barrier(): Promise<void>;
}

const nothing = (): Promise<void> => Promise.resolve();

/** One process: nothing to add, to send or to wait for, and arrays stay as they are. */
export const alone: Communicator = { rank: 0, size: 1, sum: nothing, broadcast: nothing, barrier: nothing };

/** Arrays that are added up over ranks. */
export type Summed = Float32Array | Float64Array;

/** Arrays that one rank gives to the others. */
export type Sent = Summed | Int32Array | Uint8Array;

/**
 * Processes that work on one job together. Every rank calls the same operations in the same order, with arrays of the same
 * length; what an operation returns is there on every rank. An operation may be begun before the one before it has
 * ended: they are carried out in the order in which they were called, beside the caller's own work. Until its promise
 * resolves, an array belongs to the operation.
 */
export interface Communicator {
  /** Of this process, from 0. */
  readonly rank: number;
  /** Number of processes. */
  readonly size: number;
  /** The same among the processes of this host. */
  readonly localRank: number;
  readonly localSize: number;
  /** Number of hosts. */
  readonly hosts: number;
  /** Adds up an array element by element over all ranks, in place; the sum has the same bits on all of them. */
  allReduceSum(array: Summed): Promise<void>;
  /** Overwrites an array by the one of rank `root`. */
  broadcast(array: Sent, root?: number): Promise<void>;
  /** The bytes of every rank, in the order of ranks; their lengths may differ. */
  allGather(bytes: Uint8Array): Promise<Uint8Array[]>;
  /** Returns once every rank has called it. */
  barrier(): Promise<void>;
  /** Ends the processes of all ranks, this one too, with an exit code: for what only this rank knows to have failed. */
  abort(code: number): Promise<never>;
  /** Says that this process has nothing more to exchange; every rank does so before it ends well. */
  close(): Promise<void>;
}

const nothing = (): Promise<void> => Promise.resolve();

/** One process: nothing to add, to send or to wait for, and arrays stay as they are. */
export const alone: Communicator = {
  rank: 0,
  size: 1,
  localRank: 0,
  localSize: 1,
  hosts: 1,
  allReduceSum: nothing,
  broadcast: nothing,
  allGather: bytes => Promise.resolve([bytes]),
  barrier: nothing,
  abort: code => process.exit(code),
  close: nothing,
};

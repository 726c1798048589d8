import type { Communicator } from '../../src/distributed/index.js';

/** Bytes that were summed over ranks, and exchanges of whatever kind. */
export interface Exchanged {
  bytes: number;
  calls: number;
}

/** A communicator that counts what goes through it, one process's too. */
export function counting(communicator: Communicator): { communicator: Communicator; exchanged: Exchanged } {
  const exchanged = { bytes: 0, calls: 0 };
  const count = (bytes: number): void => {
    exchanged.bytes += bytes;
    exchanged.calls++;
  };
  return {
    exchanged,
    communicator: {
      ...communicator,
      allReduceSum: array => (count(array.byteLength), communicator.allReduceSum(array)),
      broadcast: (array, root) => (count(array.byteLength), communicator.broadcast(array, root)),
      allGather: bytes => (count(bytes.byteLength), communicator.allGather(bytes)),
      barrier: () => (count(0), communicator.barrier()),
    },
  };
}

export const difference = (after: Exchanged, before: Exchanged): Exchanged => ({
  bytes: after.bytes - before.bytes,
  calls: after.calls - before.calls,
});

import type { Communicator, Sent, Summed } from '../../src/distributed/index.js';

/**
 * Runs `work` as every one of `size` ranks within this process and gives what each returned. What they exchange is real,
 * what they compute runs in turns; a rank that throws ends the others' waiting.
 */
export async function asRanks<T>(size: number, work: (communicator: Communicator) => Promise<T>): Promise<T[]> {
  const meet = meetings(size);
  const communicator = (rank: number): Communicator => ({
    rank,
    size,
    localRank: rank,
    localSize: size,
    hosts: 1,
    allReduceSum: async array => await meet(rank, array, arrays => (addedUp(arrays), undefined)),
    broadcast: async (array, root = 0) =>
      await meet(rank, array, arrays => {
        for (const other of arrays) (other as Float32Array).set(arrays[root]);
      }),
    allGather: async bytes => await meet(rank, bytes, all => all.map(part => part.slice())),
    barrier: async () => await meet(rank, new Uint8Array(), () => undefined),
    abort: code => Promise.reject(new Error(`rank ${rank} aborted with ${code}`)),
    close: () => Promise.resolve(),
  });
  return await Promise.all(
    Array.from({ length: size }, async (_, rank) => {
      try {
        return await work(communicator(rank));
      } catch (error) {
        meet.fail(error);
        throw error;
      }
    }),
  );
}

/** The n-th call of each rank belongs together: the last to come does the work for all. */
function meetings(size: number) {
  const calls = new Array<number>(size).fill(0);
  const open = new Map<
    number,
    { arrays: Sent[]; come: number; done: (value: unknown) => void; all: Promise<unknown> }
  >();
  let fail: (error: unknown) => void = () => undefined;
  const failure = new Promise<never>((_, reject) => (fail = reject));
  failure.catch(() => undefined);
  const meet = async <A extends Sent, R>(rank: number, array: A, work: (arrays: A[]) => R): Promise<R> => {
    const call = calls[rank]++;
    if (!open.has(call)) {
      let done!: (value: unknown) => void;
      const all = new Promise<unknown>(resolve => (done = resolve));
      open.set(call, { arrays: [], come: 0, done, all });
    }
    const meeting = open.get(call)!;
    meeting.arrays[rank] = array;
    if (++meeting.come === size) {
      open.delete(call);
      meeting.done(work(meeting.arrays as A[]));
    }
    return (await Promise.race([meeting.all, failure])) as R;
  };
  return Object.assign(meet, { fail: (error: unknown) => fail(error) });
}

function addedUp(arrays: Summed[]): void {
  const [first, ...others] = arrays;
  for (const other of others) for (let i = 0; i < first.length; i++) first[i] += other[i];
  for (const other of others) (other as Float32Array).set(first);
}

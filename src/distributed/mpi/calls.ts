import koffi from 'koffi';
import { handlesOf, type MpiAbi, type MpiType } from './abi.js';
import { inPlace } from './memory.js';

/** Where data lies: an address, or an array. */
type Memory = bigint | ArrayBufferView;

/** Parts of an array, one of each rank: how many numbers each has, and where it starts. */
export interface Parts {
  counts: Int32Array;
  starts: Int32Array;
}

/** What a rank asks of MPI. Each returns when it is done, for which other ranks must ask the same, in the same order. */
export interface Calls {
  allToAll(from: Memory, sent: Parts, to: Memory, received: Parts, type: MpiType): void;
  allGather(from: Memory, count: number, to: Memory, parts: Parts, type: MpiType): void;
  broadcast(data: Memory, count: number, root: number, type: MpiType): void;
  barrier(): void;
  /** Adds the numbers at `from` to those at `to`; concerns this rank alone. */
  addUp(from: Memory, to: Memory, count: number, type: MpiType): void;
  finalize(): void;
}

/*
 * MPI's own way of waiting is to ask again and again, for which it would take half of the core from the thread that computes. Here it is
 * asked at short intervals: often at first, when the answer is likely near.
 */
const AWAKE_MS = 0.3;
const NAPS_MS = { shortest: 0.05, longest: 0.5 };
const bed = new Int32Array(new SharedArrayBuffer(4));

function waitUntil(done: () => boolean): void {
  const start = performance.now();
  let nap = NAPS_MS.shortest;
  while (!done()) {
    if (performance.now() - start < AWAKE_MS) continue;
    Atomics.wait(bed, 0, 0, nap);
    nap = Math.min(NAPS_MS.longest, 2 * nap);
  }
}

/** Those of a library that was found under a name and has been initialised. @throws Error naming the function that failed. */
export function callsOf(name: string, abi: MpiAbi): Calls {
  const library = koffi.load(name, { lazy: true, global: true });
  const H = abi.handle;
  const { world, sum, types } = handlesOf(library, abi);
  const calling = (declaration: string): ((...args: unknown[]) => void) => {
    const call = library.func(declaration);
    return (...args) => {
      const code = call(...args) as number;
      if (code !== 0) throw new Error(`${/MPI_\w+/.exec(declaration)![0]} failed with ${code}`);
    };
  };
  const test = calling('int MPI_Test(void *request, _Out_ int *done, void *status)');
  const status = Buffer.alloc(64);
  const done: [number] = [0];
  const waiting = (declaration: string): ((...args: unknown[]) => void) => {
    const call = calling(declaration);
    return (...args) => {
      const request = inPlace(Buffer.alloc(8));
      call(...args.map(inPlace), request);
      waitUntil(() => {
        test(request, done, status);
        return done[0] !== 0;
      });
    };
  };
  const allToAll = waiting(
    `int MPI_Ialltoallv(void *from, void *sent, void *places, ${H} type, void *to, void *received, void *starts, ${H} same, ${H} comm, void *request)`,
  );
  const allGather = waiting(
    `int MPI_Iallgatherv(void *from, int count, ${H} type, void *to, void *counts, void *starts, ${H} same, ${H} comm, void *request)`,
  );
  const broadcast = waiting(`int MPI_Ibcast(void *data, int count, ${H} type, int root, ${H} comm, void *request)`);
  const barrier = waiting(`int MPI_Ibarrier(${H} comm, void *request)`);
  const addUp = calling(`int MPI_Reduce_local(void *from, void *to, int count, ${H} type, ${H} op)`);
  return {
    allToAll: (from, sent, to, received, type) =>
      allToAll(from, sent.counts, sent.starts, types[type], to, received.counts, received.starts, types[type], world),
    allGather: (from, count, to, { counts, starts }, type) =>
      allGather(from, count, types[type], to, counts, starts, types[type], world),
    broadcast: (data, count, root, type) => broadcast(data, count, types[type], root, world),
    barrier: () => barrier(world),
    addUp: (from, to, count, type) => addUp(from, to, count, types[type], sum),
    finalize: calling('int MPI_Finalize(void)'),
  };
}

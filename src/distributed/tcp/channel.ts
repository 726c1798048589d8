import type { Channel } from '../channel.js';
import type { Summed } from '../communicator.js';
import { Queue } from '../queue.js';
import type { Star } from './meet.js';
import type { Watch } from './watch.js';

/**
 * Ranks that torchrun or a plain srun has started, for whom no MPI speaks: everything passes through rank 0, which adds
 * up in the order of ranks. That is enough for few hosts; mpirun serves many better. What is exchanged with a rank that has
 * gone never ends: the watch ends the process.
 */
export function starChannel({ rank, size, peers }: Star, watch: Pick<Watch, 'end' | 'close'>): Channel {
  const queue = new Queue();
  const inTurn = <T>(operation: () => Promise<T>): Promise<T> =>
    queue.run(() =>
      operation().catch((error: unknown) => {
        if (peers.some(peer => peer.isLost)) return new Promise<never>(() => undefined);
        throw error;
      }),
    );
  const first = rank === 0;
  const toAll = async (bytes: Uint8Array, except = 0): Promise<void> => {
    await Promise.all(peers.filter((_, i) => i + 1 !== except).map(peer => peer.send(bytes)));
  };
  const sum = async (array: Summed): Promise<void> => {
    if (first) {
      for (const peer of peers) addTo(array, await peer.receive());
      await toAll(bytesOf(array));
    } else {
      await peers[0].send(bytesOf(array));
      fill(array, await peers[0].receive());
    }
  };
  const broadcast: Channel['broadcast'] = async (array, root) => {
    if (first && root !== 0) fill(array, await peers[root - 1].receive());
    if (first) await toAll(bytesOf(array), root);
    else if (rank === root) await peers[0].send(bytesOf(array));
    else fill(array, await peers[0].receive());
  };
  const gather = async (bytes: Uint8Array): Promise<Uint8Array[]> => {
    if (first) {
      const all = [bytes];
      for (const peer of peers) all.push(await peer.receive());
      for (const part of all) await toAll(part);
      return all;
    }
    await peers[0].send(bytes);
    const all: Uint8Array[] = [];
    while (all.length < size) all.push(await peers[0].receive());
    return all;
  };
  const barrier = (): Promise<void> => sum(new Float64Array(0));
  return {
    rank,
    size,
    allReduceSum: array => inTurn(() => sum(array)),
    broadcast: (array, root) => inTurn(() => broadcast(array, root)),
    allGather: bytes => inTurn(() => gather(bytes)),
    barrier: () => inTurn(barrier),
    abort: async code => {
      // Not in turn: what is under way may never end.
      await watch.end(code);
      process.exit(code);
    },
    close: () =>
      inTurn(async () => {
        await barrier();
        await watch.close();
        for (const peer of peers) peer.close();
        await barrier();
        for (const peer of peers) peer.finish();
      }),
  };
}

const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

function fill(array: ArrayBufferView, bytes: Uint8Array): void {
  checkLength(array, bytes);
  bytesOf(array).set(bytes);
}

function addTo(array: Summed, bytes: Uint8Array): void {
  checkLength(array, bytes);
  const Numbers = array.constructor as Float32ArrayConstructor | Float64ArrayConstructor;
  const other = new Numbers(bytes.buffer as ArrayBuffer, bytes.byteOffset, array.length);
  for (let i = 0; i < array.length; i++) array[i] += other[i];
}

function checkLength(array: ArrayBufferView, { length }: Uint8Array): void {
  if (length !== array.byteLength)
    throw new Error(`ranks are out of step: ${length} bytes came where ${array.byteLength} belong`);
}

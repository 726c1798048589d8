import { EXIT, UserError } from '../../base/index.js';
import type { Sent, Summed } from '../communicator.js';
import type { Launch } from '../launcher.js';
import { Queue } from '../queue.js';
import type { Channel } from '../channel.js';
import { MPICH, OPEN_MPI, type MpiType } from './abi.js';
import { openMpi, type MpiLibrary } from './library.js';

/** Arrays are given to MPI in stretches that its int counts hold with room to spare. */
const LONGEST = 1 << 28;

/**
 * Joins the ranks that mpirun, mpiexec or srun has started.
 * @throws UserError where the library is missing, or is not the one of the launcher.
 */
export async function joinMpi({ launcher, rank, size }: Launch): Promise<Channel> {
  const abi = launcher === 'MPICH' ? MPICH : OPEN_MPI;
  const mpi = await openMpi(abi);
  if (!mpi)
    throw new UserError(
      `started by ${launcher}, whose library is not installed here (${abi.libraries[0]}); \`apt install ${abi === MPICH ? 'libmpich12' : 'libopenmpi3'}\`, or load the cluster’s module`,
      EXIT.failed,
    );
  // A rank that waits leaves its core to whoever has work: often its own process, which computes meanwhile.
  process.env.OMPI_MCA_mpi_yield_when_idle ??= '1';
  mpi.init();
  if (mpi.size() !== size || mpi.rank() !== rank)
    throw new UserError(
      `${launcher} says rank ${rank} of ${size}, its library ${mpi.rank()} of ${mpi.size()}: launcher and library are not of one installation (${mpi.version})`,
      EXIT.failed,
    );
  return channelOf(mpi, rank, size);
}

function channelOf(mpi: MpiLibrary, rank: number, size: number): Channel {
  const queue = new Queue();
  return {
    rank,
    size,
    allReduceSum: array => queue.run(() => inStretches(array, (part, type) => mpi.sum(part, part.length, type))),
    broadcast: (array, root) =>
      queue.run(() => inStretches(array, (part, type) => mpi.broadcast(part, part.length, type, root))),
    allGather: bytes => queue.run(() => gather(mpi, size, bytes)),
    barrier: () => queue.run(() => mpi.barrier()),
    abort: code => {
      mpi.abort(code);
      process.exit(code);
    },
    close: () => queue.run(() => mpi.finalize()),
  };
}

const typeOf = (array: Sent): MpiType =>
  array instanceof Float32Array ? 'float' : array instanceof Float64Array ? 'double' : 'byte';

async function inStretches(
  array: Sent,
  call: (part: Summed | Uint8Array, type: MpiType) => Promise<void>,
): Promise<void> {
  const type = typeOf(array);
  const numbers =
    type === 'byte' ? new Uint8Array(array.buffer, array.byteOffset, array.byteLength) : (array as Summed);
  for (let from = 0; from < numbers.length; from += LONGEST) await call(numbers.subarray(from, from + LONGEST), type);
}

async function gather(mpi: MpiLibrary, size: number, bytes: Uint8Array): Promise<Uint8Array[]> {
  const lengths = new Float64Array(size);
  lengths[mpi.rank()] = bytes.length;
  await mpi.sum(lengths, size, 'double');
  const total = lengths.reduce((a, b) => a + b, 0);
  if (total > LONGEST) return await gatherInTurn(mpi, bytes, lengths);
  let end = 0;
  const starts = Int32Array.from(lengths, count => (end += count) - count);
  const all = new Uint8Array(total);
  await mpi.gather(bytes, all, Int32Array.from(lengths), starts);
  return Array.from(lengths, (count, rank) => all.subarray(starts[rank], starts[rank] + count));
}

/** More than one call can count: rank after rank gives its bytes to all. */
async function gatherInTurn(mpi: MpiLibrary, bytes: Uint8Array, lengths: Float64Array): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for (const [rank, length] of lengths.entries()) {
    const part = rank === mpi.rank() ? bytes : new Uint8Array(length);
    await inStretches(part, (stretch, type) => mpi.broadcast(stretch, stretch.length, type, rank));
    all.push(part);
  }
  return all;
}

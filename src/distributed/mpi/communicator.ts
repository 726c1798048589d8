import { EXIT, UserError } from '../../base/index.js';
import type { Launch } from '../launcher.js';
import type { Channel } from '../channel.js';
import { MPICH, OPEN_MPI } from './abi.js';
import { Carrier } from './carrier.js';
import { openMpi, type MpiLibrary } from './library.js';

/** So many numbers are summed at a time, as the thread needs their memory once more. */
const STRETCH = 1 << 23;

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
  mpi.init();
  if (mpi.size() !== size || mpi.rank() !== rank)
    throw new UserError(
      `${launcher} says rank ${rank} of ${size}, its library ${mpi.rank()} of ${mpi.size()}: launcher and library are not of one installation (${mpi.version})`,
      EXIT.failed,
    );
  return channelOf(mpi, rank, size);
}

function channelOf(mpi: MpiLibrary, rank: number, size: number): Channel {
  const carrier = new Carrier(mpi);
  return {
    rank,
    size,
    async allReduceSum(array) {
      const type = array instanceof Float32Array ? 'float' : 'double';
      const sums: Promise<unknown>[] = [];
      for (let from = 0; from < array.length; from += STRETCH) {
        const part = array.subarray(from, from + STRETCH);
        sums.push(carrier.run({ kind: 'sum', type, length: part.length }, part));
      }
      await Promise.all(sums);
    },
    async broadcast(array, root) {
      await carrier.run({ kind: 'broadcast', length: array.byteLength, root }, array);
    },
    allGather: async bytes => (await carrier.run({ kind: 'gather', length: bytes.length }, bytes))!,
    barrier: () => carrier.barrier(),
    abort: code => {
      mpi.abort(code);
      process.exit(code);
    },
    close: () => carrier.end(),
  };
}

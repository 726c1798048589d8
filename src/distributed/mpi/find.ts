import { messageOf } from '../../base/index.js';
import { MPICH, OPEN_MPI } from './abi.js';
import { openMpi } from './library.js';

interface FoundMpi {
  family: 'Open MPI' | 'MPICH';
  /** What the library says of itself; undefined where it is missing or cannot be used, with the reason. */
  version: string | undefined;
  fault?: string | undefined;
}

/** The MPI libraries of this machine, one of each family. Nothing is initialised. */
export async function findMpi(): Promise<FoundMpi[]> {
  return await Promise.all(
    [OPEN_MPI, MPICH].map(async (abi): Promise<FoundMpi> => {
      const { family } = abi;
      try {
        return { family, version: (await openMpi(abi))?.version };
      } catch (error) {
        return { family, version: undefined, fault: messageOf(error) };
      }
    }),
  );
}

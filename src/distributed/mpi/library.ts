import { EXIT, messageOf, UserError } from '../../base/index.js';
import { MPICH, OPEN_MPI, type MpiAbi, type MpiType } from './abi.js';

type Call<A extends unknown[]> = (...args: A) => Promise<void>;
/** Memory that MPI reads or writes, or MPI_IN_PLACE. */
type Memory = ArrayBufferView | bigint;

/** The functions of an MPI library that are used here. Those that wait for other ranks do so beside the event loop. */
export interface MpiLibrary {
  /** What the library says of itself: `Open MPI v4.1.4, …`. */
  version: string;
  init(): void;
  rank(): number;
  size(): number;
  sum(array: Memory, length: number, type: MpiType): Promise<void>;
  broadcast(array: Memory, length: number, type: MpiType, root: number): Promise<void>;
  gather(bytes: Uint8Array, all: Uint8Array, counts: Int32Array, starts: Int32Array): Promise<void>;
  barrier(): Promise<void>;
  abort(code: number): void;
  finalize(): Promise<void>;
}

/** MPICH's reductions need more stack than koffi gives to calls beside the event loop; to be set before the first library. */
const STACK = 8 << 20;
const THREAD_MULTIPLE = 3;

type Koffi = (typeof import('koffi'))['default'];
type Library = ReturnType<Koffi['load']>;

/**
 * Opens the system's MPI library of a family; undefined where none is installed.
 * @throws UserError where what is installed under its name is of no known family.
 */
export async function openMpi(abi: MpiAbi): Promise<MpiLibrary | undefined> {
  tameUcx(process.env);
  const { default: koffi } = await import('koffi');
  if ((koffi.config().async_stack_size ?? 0) < STACK)
    koffi.config({ ...koffi.config(), async_stack_size: STACK, resident_async_pools: 2 });
  const found = findLibrary(koffi, abi);
  return found && functionsOf(found, abi);
}

/**
 * UCX, which carries data for either family, patches the functions that map memory while Node's threads call them, which now and then
 * crashes the process, and takes over signals by which Node bounds WebAssembly's memory. What the user has set stays.
 */
function tameUcx(env: NodeJS.ProcessEnv): void {
  env.UCX_MEM_EVENTS ??= 'no';
  env.UCX_ERROR_SIGNALS ??= '';
}

interface Found {
  library: Library;
  version: string;
}

function findLibrary(koffi: Koffi, abi: MpiAbi): Found | undefined {
  const found = abi.libraries.flatMap(name => load(koffi, name));
  const unknown = found.find(({ version }) => ![OPEN_MPI, MPICH].some(known => known.version.test(version)));
  const fitting = found.find(({ version }) => abi.version.test(version));
  if (fitting === undefined && unknown !== undefined)
    throw new UserError(
      `the MPI library calls itself ${JSON.stringify(unknown.version.slice(0, 60))}, which is neither Open MPI nor of MPICH’s family; start with mpirun of one of these`,
      EXIT.failed,
    );
  return fitting;
}

function load(koffi: Koffi, name: string): Found[] {
  try {
    const library = koffi.load(name, { lazy: true, global: true });
    return [{ library, version: versionOf(library) }];
  } catch {
    return []; // Not installed under this name.
  }
}

const LONGEST_VERSION = 8192;

/** May be asked before MPI is initialised. */
function versionOf(library: Library): string {
  const text = Buffer.alloc(LONGEST_VERSION);
  library.func('int MPI_Get_library_version(void *text, _Out_ int *length)')(text, [0]);
  return text
    .toString('utf8')
    .split(/[\0\n]/)[0]
    .trim();
}

function functionsOf({ library, version }: Found, abi: MpiAbi): MpiLibrary {
  const H = abi.handle;
  const handleOf = (value: number | string): unknown => (typeof value === 'string' ? library.symbol(value) : value);
  const world = handleOf(abi.world);
  const sum = handleOf(abi.sum);
  const types = Object.fromEntries(Object.entries(abi.types).map(([name, value]) => [name, handleOf(value)]));
  const beside = <A extends unknown[]>(declaration: string): Call<A> => {
    const call = library.func(declaration);
    const name = /MPI_\w+/.exec(declaration)![0];
    return (...args) =>
      new Promise((resolve, reject) => {
        call.async(...args, (error: unknown, code: number) => {
          if (error) reject(new Error(`${name}: ${messageOf(error)}`));
          else if (code !== 0) reject(new Error(`${name} failed with ${code}`));
          else resolve();
        });
      });
  };
  const allReduce = beside(`int MPI_Allreduce(void *send, void *recv, int n, ${H} type, ${H} op, ${H} comm)`);
  const broadcast = beside(`int MPI_Bcast(void *data, int n, ${H} type, int root, ${H} comm)`);
  const allGather = beside(
    `int MPI_Allgatherv(void *send, int n, ${H} type, void *recv, int *counts, int *starts, ${H} recvType, ${H} comm)`,
  );
  const barrier = beside(`int MPI_Barrier(${H} comm)`);
  const finalize = beside('int MPI_Finalize(void)');
  const initialise = library.func('int MPI_Init_thread(void *argc, void *argv, int required, _Out_ int *provided)');
  const rank = library.func(`int MPI_Comm_rank(${H} comm, _Out_ int *rank)`);
  const size = library.func(`int MPI_Comm_size(${H} comm, _Out_ int *size)`);
  const abort = library.func(`int MPI_Abort(${H} comm, int code)`);
  const asked = (question: (comm: unknown, answer: [number]) => unknown): number => {
    const answer: [number] = [0];
    question(world, answer);
    return answer[0];
  };
  return {
    version,
    init: () => void initialise(null, null, THREAD_MULTIPLE, [0]),
    rank: () => asked(rank),
    size: () => asked(size),
    sum: (array, length, type) => allReduce(abi.inPlace, array, length, types[type], sum, world),
    broadcast: (array, length, type, root) => broadcast(array, length, types[type], root, world),
    gather: (bytes, all, counts, starts) =>
      allGather(bytes, bytes.length, types.byte, all, counts, starts, types.byte, world),
    barrier: () => barrier(world),
    abort: code => void abort(world, code),
    finalize: () => finalize(),
  };
}

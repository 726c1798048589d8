import { EXIT, UserError } from '../../base/index.js';
import { MPICH, OPEN_MPI, type MpiAbi, type MpiType } from './abi.js';
import { WaitingThread } from './waiting.js';

/** The functions of an MPI library that are used here. Those that wait for other ranks do so in another thread, one at a time. */
export interface MpiLibrary {
  /** What the library says of itself: `Open MPI v4.1.4, …`. */
  version: string;
  init(): void;
  rank(): number;
  size(): number;
  sum(array: ArrayBufferView, length: number, type: MpiType): Promise<void>;
  broadcast(array: ArrayBufferView, length: number, type: MpiType, root: number): Promise<void>;
  gather(bytes: Uint8Array, all: Uint8Array, counts: Int32Array, starts: Int32Array): Promise<void>;
  barrier(): Promise<void>;
  abort(code: number): void;
  finalize(): Promise<void>;
}

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
  const found = findLibrary(koffi, abi);
  return found && functionsOf(koffi, found, abi);
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
  /** Under which it was found. */
  name: string;
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
    return [{ name, library, version: versionOf(library) }];
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

function functionsOf(koffi: Koffi, { name, library, version }: Found, abi: MpiAbi): MpiLibrary {
  const H = abi.handle;
  const handleOf = (value: number | string): unknown => (typeof value === 'string' ? library.symbol(value) : value);
  const world = handleOf(abi.world);
  const sum = handleOf(abi.sum);
  const types = Object.fromEntries(Object.entries(abi.types).map(([type, value]) => [type, handleOf(value)]));
  const addressOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): bigint =>
    // A small array is moved about in memory until its buffer has been asked for.
    koffi.address(new Uint8Array(buffer, byteOffset, byteLength));
  let thread: WaitingThread | undefined;
  const beside =
    (declaration: string) =>
    (arrays: ArrayBufferView[], argsOf: (addresses: bigint[]) => unknown[]): Promise<void> =>
      (thread ??= new WaitingThread(name)).call(declaration, argsOf(arrays.map(addressOf)), arrays);
  const allReduce = beside(`int MPI_Allreduce(void *send, void *recv, int n, ${H} type, ${H} op, ${H} comm)`);
  const broadcast = beside(`int MPI_Bcast(void *data, int n, ${H} type, int root, ${H} comm)`);
  const allGather = beside(
    `int MPI_Allgatherv(void *send, int n, ${H} type, void *recv, void *counts, void *starts, ${H} recvType, ${H} comm)`,
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
    sum: (array, length, type) => allReduce([array], ([at]) => [abi.inPlace, at, length, types[type], sum, world]),
    broadcast: (array, length, type, root) => broadcast([array], ([at]) => [at, length, types[type], root, world]),
    gather: (bytes, all, counts, starts) =>
      allGather([bytes, all, counts, starts], ([from, to, lengths, offsets]) => [
        ...[from, bytes.length, types.byte],
        ...[to, lengths, offsets, types.byte, world],
      ]),
    barrier: () => barrier([], () => [world]),
    abort: code => void abort(world, code),
    finalize: () => finalize([], () => []),
  };
}

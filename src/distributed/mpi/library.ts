import { EXIT, UserError } from '../../base/index.js';
import { handlesOf, MPICH, OPEN_MPI, type MpiAbi } from './abi.js';
import { inPlace } from './memory.js';

/** An MPI library, and those of its functions that do not wait for other ranks or are called before there is anything to do. */
export interface MpiLibrary {
  /** Under which it was found. */
  name: string;
  abi: MpiAbi;
  /** What the library says of itself: `Open MPI v4.1.4, …`. */
  version: string;
  init(): void;
  rank(): number;
  size(): number;
  /** Where an array's memory is; it stays there. */
  addressOf(array: ArrayBufferView): bigint;
  abort(code: number): void;
}

/** Of MPI_Init_thread: several threads may call at the same time. */
const THREAD_MULTIPLE = 3;

type Koffi = (typeof import('koffi'))['default'];
export type Library = ReturnType<Koffi['load']>;

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
  const { world } = handlesOf(library, abi);
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
    name,
    abi,
    version,
    init: () => void initialise(null, null, THREAD_MULTIPLE, [0]),
    rank: () => asked(rank),
    size: () => asked(size),
    addressOf: array => koffi.address(inPlace(array)),
    abort: code => void abort(world, code),
  };
}

/*
 * What the C headers of the two families of MPI libraries define and a program that calls the compiled library has to know.
 * Open MPI's handles are addresses of structs that it exports; MPICH's, and those of Intel MPI and MVAPICH, which agreed on
 * its binary interface, are numbers.
 */

/** How arrays are named to MPI. */
export type MpiType = 'float' | 'double' | 'byte';

export interface MpiAbi {
  family: 'Open MPI' | 'MPICH';
  /** Names under which the library is installed. */
  libraries: readonly string[];
  /** How such a library begins its description of itself. */
  version: RegExp;
  /** C type of a handle. */
  handle: 'void *' | 'int';
  /** Values of handles, or the symbols whose addresses they are. */
  world: number | string;
  sum: number | string;
  types: Record<MpiType, number | string>;
}

export const OPEN_MPI: MpiAbi = {
  family: 'Open MPI',
  libraries: ['libmpi.so.40', 'libmpi.40.dylib', 'libmpi.so'],
  version: /^Open MPI/,
  handle: 'void *',
  world: 'ompi_mpi_comm_world',
  sum: 'ompi_mpi_op_sum',
  types: { float: 'ompi_mpi_float', double: 'ompi_mpi_double', byte: 'ompi_mpi_byte' },
};

export const MPICH: MpiAbi = {
  family: 'MPICH',
  libraries: ['libmpich.so.12', 'libmpi.so.12', 'libmpi.12.dylib', 'libmpi.so'],
  version: /^(MPICH|Intel\(R\) MPI|MVAPICH)/,
  handle: 'int',
  world: 0x44000000,
  sum: 0x58000003,
  types: { float: 0x4c00040a, double: 0x4c00080b, byte: 0x4c00010d },
};

/** Handles as koffi takes them. */
export interface Handles {
  world: unknown;
  sum: unknown;
  types: Record<MpiType, unknown>;
}

export function handlesOf(library: { symbol(name: string): unknown }, { world, sum, types }: MpiAbi): Handles {
  const handle = (value: number | string): unknown => (typeof value === 'string' ? library.symbol(value) : value);
  return {
    world: handle(world),
    sum: handle(sum),
    types: { float: handle(types.float), double: handle(types.double), byte: handle(types.byte) },
  };
}

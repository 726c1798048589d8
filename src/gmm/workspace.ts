import type { Communicator, Share } from '../distributed/index.js';
import type { MemoryLayout, Pass, Views } from './kernels/index.js';

/** Consecutive rows of a rank's share that were worked on together; `start` counts from the share's. */
export interface Block {
  start: number;
  rows: number;
}

/**
 * The threads' memory as arrays (`counts`, `means`, `sums` and the like; rows of them are `layout.width` numbers long) and
 * what runs in it: passes over all rows of one source. Several ranks have a workspace each, in which the numbers for rows
 * are those of the rank's share and all others are the same; they call the same operations in the same order.
 */
export interface Workspace extends Views {
  readonly layout: MemoryLayout;
  /** Rows of all ranks. */
  readonly rows: number;
  /** Those of this rank. */
  readonly share: Share;
  readonly communicator: Communicator;
  /** Runs a routine on all threads, its work shared out piece by piece. */
  run(name: string, ...parameters: number[]): Promise<void>;
  /** One pass: for each block of rows these routines, in order; sums are over all ranks. `onBlock` sees the memory between two blocks. */
  pass(components: number, passes: readonly Pass[], onBlock?: (block: Block) => void): Promise<void>;
  /** The source's rows have changed: the next pass reads them again. */
  reload(): void;
  /** Some rows of all ranks, [indices, dims]. */
  rowsAt(indices: readonly number[]): Promise<Float32Array>;
  close(): Promise<void>;
}

import type { MemoryLayout, Pass, Views } from './kernels/index.js';

/** Consecutive rows that were worked on together. */
export interface Block {
  start: number;
  rows: number;
}

/**
 * The threads' memory as arrays (`counts`, `means`, `sums` and the like; rows of them are `layout.width` numbers long) and
 * what runs in it: passes over all rows of one source.
 */
export interface Workspace extends Views {
  readonly layout: MemoryLayout;
  readonly rows: number;
  /** Runs a routine on all threads, its work shared out piece by piece. */
  run(name: string, ...parameters: number[]): Promise<void>;
  /** One pass: for each block of rows these routines, in order. `onBlock` sees the memory between two blocks. */
  pass(components: number, passes: readonly Pass[], onBlock?: (block: Block) => void): Promise<void>;
  /** The source's rows have changed: the next pass reads them again. */
  reload(): void;
  /** Some rows, [indices, dims]. */
  rowsAt(indices: readonly number[]): Promise<Float32Array>;
  close(): Promise<void>;
}

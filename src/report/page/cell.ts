import type { Value } from '../table.js';

/** A value with its interval, shown in one cell. */
export interface Measured {
  value: number | null;
  /** Ends of the interval; absent where none was measured. */
  low?: number | null | undefined;
  high?: number | null | undefined;
  /** Whether the value is only known to be no less than this. */
  atLeast?: boolean | undefined;
  /** Whether it is the best of its column, or cannot be told from the best by its interval. */
  mark?: Mark | undefined;
}

export type Mark = 'best' | 'tied';
export type Cell = Value | Measured | undefined;

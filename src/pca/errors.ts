import { StructuredError } from '../base/index.js';

/** What is wrong with rows, as data: whoever knows the options can say which of them help. */
export type RowsFault =
  | { kind: 'too-many-axes'; name: string; rows: number; width: number; asked: number; most: number }
  | { kind: 'too-wide'; width: number; most: number }
  /** Which rows hold NaN or infinity. */
  | { kind: 'not-finite'; rows: Int32Array };

/** Rows that cannot be analysed as was asked for. */
export class RowsError extends StructuredError<RowsFault> {}

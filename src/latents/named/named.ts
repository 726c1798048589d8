import type { ArrayInfo, NdArray, TextArray } from '../../io/index.js';
import type { RowArray } from '../pieces.js';

/** A file of named arrays, open. Only what is asked for is looked at: beside latents stands whatever their maker liked. */
export interface NamedArrays {
  readonly path: string;
  names: string[];
  info(name: string): Promise<ArrayInfo>;
  /** All arrays of numbers. */
  numbers(): Promise<Map<string, ArrayInfo>>;
  values(name: string): Promise<NdArray | TextArray>;
  rows(name: string): Promise<RowArray>;
  /** What the numbers of an array of labels are called, where the file knows it. */
  classNames?(labels: string): string[] | undefined;
  close(): Promise<void>;
}

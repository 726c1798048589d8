/** What a column's cells are, as far as data sets and latents need to know. */
export type ColumnKind =
  /** `Uint8Array` */
  | 'bytes'
  /** A struct with `bytes` (and, where an image was kept as a file, its `path`), which is how Hugging Face keeps images. */
  | 'file'
  /** `number`, or `bigint` of 64 bits. */
  | 'integer'
  /** `number` */
  | 'float'
  /** `string` */
  | 'text'
  /** Numbers, as nested arrays or typed arrays. */
  | 'list'
  | 'other';

export interface Column {
  name: string;
  kind: ColumnKind;
}

/** A cell of a `file` column. */
export interface FileCell {
  bytes: Uint8Array | null;
  path?: string | null;
}

/** A table in one file, read a few rows at a time. */
export interface TableFile {
  /** The path, for messages. */
  readonly name: string;
  readonly rows: number;
  readonly columns: readonly Column[];
  /** Free text that the file carries, such as Hugging Face's description of its columns. */
  readonly metadata: ReadonlyMap<string, string>;
  /** The cells of rows `start` to `end` (exclusive) of a column; null where one is empty. */
  read(column: string, start: number, end: number): Promise<unknown[]>;
  close(): Promise<void>;
}

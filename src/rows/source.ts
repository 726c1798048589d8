/** A block of consecutive rows. `data` is row-major [rows, width] and valid until the next chunk is asked for. */
export interface RowChunk {
  /** Index of the first row within the source. */
  start: number;
  rows: number;
  data: Float32Array;
}

export interface ChunkOptions {
  /** Rows per chunk; a source may give fewer (at a shard's end), never more. */
  chunkRows?: number;
  /** First row, default 0. */
  start?: number;
  /** One past the last row, default `rows`. */
  end?: number;
}

/** Rows of float32 that can be read again and again, in memory or not: what every analysis streams over. */
export interface RowSource {
  readonly name: string;
  readonly rows: number;
  /** Numbers per row. */
  readonly width: number;
  /** One class per row where the data have classes. */
  readonly labels?: Int32Array | undefined;
  chunks(options?: ChunkOptions): AsyncIterable<RowChunk>;
}

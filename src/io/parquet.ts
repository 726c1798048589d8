import type { AsyncBuffer, ColumnChunk, FileMetaData, SchemaTree } from 'hyparquet';
import { messageOf, UserError } from '../base/index.js';
import { openBytes, type ByteSource } from './bytes.js';
import type { Column, ColumnKind, TableFile } from './table.js';

/** Rows that are decoded together: of those that ask for neighbours all but the first are served from memory. */
interface Run {
  start: number;
  end: number;
  /** About how many bytes they are when decoded. */
  bytes: number;
}

/** Bytes of a column (unpacked) that are decoded at a time, as far as the file's row groups allow. */
const RUN_BYTES = 16 << 20;
/** Likewise where an index says in which pages rows lie, so that no more than these are read. */
const INDEXED_RUN_BYTES = 1 << 20;
/** Bytes of decoded runs that are kept of all files, so that reading on or within a neighbourhood decodes nothing twice. */
const KEPT_BYTES = 128 << 20;

/**
 * Opens a Parquet file (any compression) whose columns can be read row by row. Byte arrays stay bytes unless the schema
 * says that they are text. @throws UserError for what is no Parquet file, is truncated or encrypted.
 */
export async function openParquet(path: string): Promise<TableFile> {
  // A heavy import that only Parquet's readers need.
  const { parquetMetadataAsync, parquetSchema } = await import('hyparquet');
  const source = await openBytes(path);
  try {
    const end = source.size < 12 ? '' : Buffer.from(await source.read(source.size - 4, 4)).toString('latin1');
    if (end !== 'PAR1')
      throw new UserError(
        `${path}: ${end === 'PARE' ? 'is encrypted' : 'is not a whole Parquet file: it does not end as one; download it again'}`,
      );
    const metadata = await parquetMetadataAsync(bufferOver(source)).catch((error: unknown) => {
      throw damaged(path, error);
    });
    const columns = parquetSchema(metadata).children.map(columnOf);
    const runs = new Map(columns.map(({ name }) => [name, runsOf(metadata, name)]));
    const readers = new Map([...runs].map(([name, own]) => [name, columnReader(source, metadata, name, own)]));
    return {
      name: path,
      rows: Number(metadata.num_rows),
      columns,
      metadata: new Map((metadata.key_value_metadata ?? []).map(({ key, value = '' }) => [key, value])),
      async read(column, start, end) {
        const reader = readers.get(column);
        if (!reader) throw new UserError(`${path}: has no column ${column}`);
        return await reader(start, end);
      },
      close: () => {
        for (const own of runs.values()) decoded.forget(own);
        return source.close();
      },
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

const damaged = (path: string, error: unknown): UserError =>
  error instanceof UserError
    ? error
    : new UserError(`${path}: cannot be read as Parquet (${messageOf(error)}); it is damaged, download it again`);

const bufferOver = (source: ByteSource): AsyncBuffer => ({
  byteLength: source.size,
  slice(start, end = source.size) {
    const reading = source.read(start, end - start).then(bytes => bytes.buffer);
    // hyparquet begins reads that nobody waits for once another has failed: their errors must not end the process.
    reading.catch(() => undefined);
    return reading;
  },
});

const columnOf = (node: SchemaTree): Column => ({ name: node.element.name, kind: kindOf(node) });

function kindOf({ element, children }: SchemaTree): ColumnKind {
  const { type, converted_type: converted, logical_type: logical } = element;
  if (children.some(child => child.element.name === 'bytes' && kindOf(child) === 'bytes')) return 'file';
  if (converted === 'LIST' || logical?.type === 'LIST') return 'list';
  if (children.length > 0) return 'other';
  if (logical?.type === 'FLOAT16' || type === 'FLOAT' || type === 'DOUBLE') return 'float';
  if (converted === 'UTF8' || converted === 'ENUM' || logical?.type === 'STRING' || logical?.type === 'ENUM')
    return 'text';
  if (type === 'BYTE_ARRAY' || type === 'FIXED_LEN_BYTE_ARRAY')
    return converted === undefined && logical === undefined ? 'bytes' : 'other';
  const isPlain = converted === undefined || /^U?INT_/.test(converted);
  return (type === 'INT32' || type === 'INT64') && isPlain ? 'integer' : 'other';
}

/** What was decoded last, of whichever file: data sets have hundreds of shards, and training goes back and forth. */
const decoded = {
  runs: new Map<Run, Promise<unknown[]>>(),
  last: Promise.resolve() as Promise<unknown>,

  of(run: Run, decode: () => Promise<unknown[]>): Promise<unknown[]> {
    const known = this.runs.get(run);
    // One after the other: each needs the memory of its row group while it is decoded.
    const cells = known ?? this.last.then(decode);
    if (!known) this.last = cells.catch(() => this.runs.delete(run));
    this.runs.delete(run);
    this.runs.set(run, cells);
    let total = [...this.runs.keys()].reduce((sum, { bytes }) => sum + bytes, 0);
    for (const old of this.runs.keys()) {
      if (total <= KEPT_BYTES || old === run) break;
      this.runs.delete(old);
      total -= old.bytes;
    }
    return cells;
  },

  forget(runs: readonly Run[]): void {
    for (const run of runs) this.runs.delete(run);
  },
};

type ReadCells = (start: number, end: number) => Promise<unknown[]>;

function columnReader(source: ByteSource, metadata: FileMetaData, column: string, runs: Run[]): ReadCells {
  return async (start, end) => {
    const cells: unknown[] = [];
    for (const run of runsWithin(runs, start, end)) {
      const all = await decoded.of(run, () => decodeRun(source, metadata, column, run));
      for (const cell of all.slice(Math.max(0, start - run.start), end - run.start)) cells.push(cell);
    }
    return cells;
  };
}

/** Row groups, the large ones divided; not into more parts than they have pages, which are unpacked as a whole. */
function runsOf({ row_groups: groups }: FileMetaData, column: string): Run[] {
  const runs: Run[] = [];
  let first = 0;
  for (const { columns, num_rows } of groups) {
    const chunks = columns.filter(({ meta_data }) => meta_data?.path_in_schema[0] === column);
    const bytes = chunks.reduce((sum, { meta_data }) => sum + Number(meta_data!.total_uncompressed_size), 0);
    const isIndexed = chunks.every(({ offset_index_length }) => offset_index_length !== undefined);
    const rows = Number(num_rows);
    const parts = Math.max(
      1,
      Math.min(rows, pagesOf(chunks), Math.ceil(bytes / (isIndexed ? INDEXED_RUN_BYTES : RUN_BYTES))),
    );
    for (let part = 0; part < parts; part++)
      runs.push({
        start: first + Math.floor((part * rows) / parts),
        end: first + Math.floor(((part + 1) * rows) / parts),
        bytes: bytes / parts,
      });
    first += rows;
  }
  return runs.filter(({ start, end }) => end > start);
}

/** Data pages of the largest of a column's parts; writers that do not count them are taken to have made one. */
function pagesOf(chunks: ColumnChunk[]): number {
  const count = ({ meta_data }: ColumnChunk): number =>
    (meta_data?.encoding_stats ?? [])
      .filter(({ page_type }) => page_type !== 'DICTIONARY_PAGE')
      .reduce((sum, { count }) => sum + count, 0);
  return Math.max(1, ...chunks.map(count));
}

function runsWithin(runs: Run[], start: number, end: number): Run[] {
  let [low, high] = [0, runs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (runs[middle].end <= start) low = middle + 1;
    else high = middle;
  }
  let until = low;
  while (until < runs.length && runs[until].start < end) until++;
  return runs.slice(low, until);
}

async function decodeRun(
  source: ByteSource,
  metadata: FileMetaData,
  column: string,
  { start, end }: Run,
): Promise<unknown[]> {
  const [{ parquetRead }, { compressors }] = await Promise.all([import('hyparquet'), import('hyparquet-compressors')]);
  try {
    let rows: unknown[][] = [];
    await parquetRead({
      file: bufferOver(source),
      metadata,
      columns: [column],
      rowStart: start,
      rowEnd: end,
      compressors,
      // What is not declared as text is bytes: as text it would be cut to valid UTF-8 and no longer an image.
      utf8: false,
      useOffsetIndex: true,
      onComplete: read => (rows = read),
    });
    if (rows.length !== end - start) throw new Error(`${rows.length} rows where ${end - start} were expected`);
    return rows.map(([cell]) => cell ?? null);
  } catch (error) {
    throw damaged(source.name, error);
  }
}

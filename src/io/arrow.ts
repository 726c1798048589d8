/*
 * Arrow files as the cache of Hugging Face's `datasets` and `pyarrow.ipc` write them. The reader is our own because
 * Arrow's package reads whole batches (of a thousand images each, hundreds of megabytes), where training asks for one
 * row here and one there: in an uncompressed batch a cell lies where its offsets say, so that three short reads give it.
 * https://arrow.apache.org/docs/format/Columnar.html
 */

import { messageOf, UserError } from '../base/index.js';
import { decode, type DType } from './array.js';
import { columnOf, readSchema, type ArrowField, type ArrowSchema } from './arrow-schema.js';
import { openBytes, type ByteSource } from './bytes.js';
import { FlatTable } from './flatbuffer.js';
import type { TableFile } from './table.js';

/** Where a buffer lies in the file. */
interface Place {
  start: number;
  bytes: number;
}

/** A column's share of a batch, its children's below. */
interface Vector {
  field: ArrowField;
  rows: number;
  nulls: number;
  /** Validity first, as in Arrow's table of layouts. */
  buffers: Place[];
  children: Vector[];
}

interface Batch {
  start: number;
  rows: number;
  columns: Vector[];
}

const FILE_MAGIC = 'ARROW1';
const CONTINUED = 0xffffffff;
/** Kinds of messages, by Arrow's `Message.fbs`. */
const MESSAGE = { schema: 1, dictionary: 2, batch: 3 } as const;

/**
 * Opens an Arrow file, in the stream or the file format, and indexes its batches without reading their contents.
 * @throws UserError for what is no Arrow file, or is truncated or compressed.
 */
export async function openArrow(path: string): Promise<TableFile> {
  const source = await openBytes(path);
  try {
    const { schema, batches } = await indexed(source);
    return {
      name: path,
      rows: batches.reduce((sum, { rows }) => sum + rows, 0),
      columns: schema.fields.map(columnOf),
      metadata: schema.metadata,
      read: (column, start, end) => readCells(source, schema, batches, column, start, end),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error instanceof UserError
      ? error
      : new UserError(
          `${path}: cannot be read as Arrow (${messageOf(error)}); save it as Parquet: dataset.to_parquet(…)`,
        );
  }
}

/** The messages one after the other; a file in the file format is a stream between two magic words. */
async function indexed(source: ByteSource): Promise<{ schema: ArrowSchema; batches: Batch[] }> {
  const begin = Buffer.from(await source.read(0, Math.min(8, source.size)));
  let at = begin.toString('latin1').startsWith(FILE_MAGIC) ? 8 : 0;
  if (at === 0 && (begin.length < 8 || begin.readUInt32LE(0) !== CONTINUED))
    throw new UserError(`${source.name}: is not an Arrow file`);
  let schema: ArrowSchema | undefined;
  const batches: Batch[] = [];
  let rows = 0;
  while (at + 8 <= source.size) {
    const prefix = new DataView((await source.read(at, 8)).buffer);
    const length = prefix.getInt32(4, true);
    if (prefix.getUint32(0, true) !== CONTINUED || length === 0) break;
    const message = FlatTable.root(await source.read(at + 8, length));
    const body = at + 8 + length;
    at = body + message.int64(3);
    if (at < body) throw new Error('a message of negative length');
    if (at > source.size)
      throw new UserError(`${source.name}: is truncated: batch ${batches.length} ends at byte ${at} of ${source.size}`);
    const [kind, header] = [message.byte(1), message.table(2)];
    if (!header) throw new Error('a message without content');
    if (kind === MESSAGE.schema) schema = readSchema(header);
    if (kind !== MESSAGE.batch) continue;
    if (!schema) throw new Error('a batch before the schema');
    const batch = batchOf(header, schema, body, rows);
    rows += batch.rows;
    batches.push(batch);
  }
  if (!schema) throw new Error('no schema');
  return { schema, batches };
}

function batchOf(header: FlatTable, schema: ArrowSchema, body: number, start: number): Batch {
  if (header.table(3)) throw new Error('its batches are compressed');
  const nodes = header.pairs(1);
  const buffers = header.pairs(2).map(([offset, bytes]): Place => ({ start: body + offset, bytes }));
  const take = (field: ArrowField): Vector => {
    const node = nodes.shift();
    const count = bufferCount(field);
    if (!node || buffers.length < count) throw new Error(`column ${field.name} has too few buffers`);
    const own = buffers.splice(0, count);
    return { field, rows: node[0], nulls: node[1], buffers: own, children: field.children.map(take) };
  };
  return { start, rows: header.int64(0), columns: schema.fields.map(take) };
}

function bufferCount({ layout }: ArrowField): number {
  if (layout.form === 'other') return layout.buffers;
  if (layout.form === 'binary') return 3;
  return layout.form === 'struct' || layout.form === 'fixed-list' ? 1 : 2;
}

async function readCells(
  source: ByteSource,
  { fields }: ArrowSchema,
  batches: Batch[],
  column: string,
  start: number,
  end: number,
): Promise<unknown[]> {
  const at = fields.findIndex(({ name }) => name === column);
  if (at < 0) throw new UserError(`${source.name}: has no column ${column}`);
  const cells: unknown[] = [];
  for (const batch of batches) {
    const [from, to] = [Math.max(start, batch.start), Math.min(end, batch.start + batch.rows)];
    if (from >= to) continue;
    const found = await cellsOf(source, batch.columns[at], from - batch.start, to - batch.start);
    for (const cell of found) cells.push(cell);
  }
  return cells;
}

/** Cells `start` to `end` of a column within a batch; null where one is empty. */
async function cellsOf(source: ByteSource, vector: Vector, start: number, end: number): Promise<unknown[]> {
  if (end > vector.rows) throw new UserError(`${source.name}: column ${vector.field.name} ends before row ${end}`);
  const [values, isValid] = [await valuesOf(source, vector, start, end), await validity(source, vector, start, end)];
  return Array.from(values, (value, i) => (isValid(i) ? value : null));
}

type Validity = (row: number) => boolean;

/** A bit for each row, the lowest first; no bits where all are valid. */
async function validity(source: ByteSource, { nulls, buffers }: Vector, start: number, end: number): Promise<Validity> {
  if (nulls === 0 || buffers.length === 0 || buffers[0].bytes === 0) return () => true;
  const first = start >> 3;
  const bits = await partOf(source, buffers[0], first, Math.ceil(end / 8) - first);
  return row => ((bits[((start + row) >> 3) - first] >> ((start + row) % 8)) & 1) === 1;
}

async function valuesOf(source: ByteSource, vector: Vector, start: number, end: number): Promise<ArrayLike<unknown>> {
  const { field, buffers, children } = vector;
  const { layout } = field;
  switch (layout.form) {
    case 'number': {
      const size = layout.bits / 8;
      return decode(
        await partOf(source, buffers[1], start * size, (end - start) * size),
        `${layout.array}${layout.bits}` as DType,
      );
    }
    case 'binary': {
      const offsets = await offsetsOf(source, buffers[1], layout.offsetBytes, start, end);
      const base = offsets[0];
      const bytes = await partOf(source, buffers[2], base, offsets[offsets.length - 1] - base);
      return offsets.slice(1).map((stop, i) => {
        const cell = bytes.subarray(offsets[i] - base, stop - base);
        return layout.isText ? Buffer.from(cell).toString() : cell;
      });
    }
    case 'list': {
      const offsets = await offsetsOf(source, buffers[1], layout.offsetBytes, start, end);
      const items = await itemsOf(source, vector, offsets[0], offsets[offsets.length - 1]);
      return offsets.slice(1).map((stop, i) => sliced(items, offsets[i] - offsets[0], stop - offsets[0]));
    }
    case 'fixed-list': {
      const items = await itemsOf(source, vector, start * layout.size, end * layout.size);
      return Array.from({ length: end - start }, (_, i) => sliced(items, i * layout.size, (i + 1) * layout.size));
    }
    case 'struct': {
      const parts = await Promise.all(
        children
          .filter(child => child.field.layout.form !== 'other')
          .map(async child => [child.field.name, await cellsOf(source, child, start, end)] as const),
      );
      return Array.from({ length: end - start }, (_, i) =>
        Object.fromEntries(parts.map(([name, cells]) => [name, cells[i]])),
      );
    }
    case 'other':
      throw new UserError(`${source.name}: column ${field.name} is neither numbers, text nor bytes`);
  }
}

/** What lists are made of, which has no gaps. */
async function itemsOf(source: ByteSource, { field, children: [items] }: Vector, start: number, end: number) {
  if (items.nulls > 0)
    throw new UserError(
      `${source.name}: column ${field.name} has lists with empty places; fill them, or leave those rows out`,
    );
  return await valuesOf(source, items, start, end);
}

const sliced = (items: ArrayLike<unknown>, start: number, end: number): ArrayLike<unknown> =>
  Array.isArray(items) ? items.slice(start, end) : (items as Float32Array).subarray(start, end);

async function offsetsOf(
  source: ByteSource,
  buffer: Place,
  size: 4 | 8,
  start: number,
  end: number,
): Promise<number[]> {
  const bytes = await partOf(source, buffer, start * size, (end - start + 1) * size);
  return Array.from<number | bigint, number>(decode(bytes, size === 4 ? 'int32' : 'int64'), Number);
}

async function partOf(source: ByteSource, { start, bytes }: Place, at: number, length: number) {
  if (at < 0 || length < 0 || at + length > bytes)
    throw new UserError(`${source.name}: is damaged: a column of ${bytes} bytes is read at ${at} + ${length}`);
  return await source.read(start + at, length);
}

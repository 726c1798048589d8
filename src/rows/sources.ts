import { UserError } from '../base/index.js';
import { asFloat32, elementCount, listed, openNpy, openSafetensors, type NdArray } from '../io/index.js';
import type { ChunkOptions, RowChunk, RowSource } from './source.js';

const CHUNK_BYTES = 4 << 20;

/** Rows of a chunk where the caller doesn't say: about 4 MB. Shares that begin at its multiples cut no chunk in two. */
export const rowsPerChunk = ({ width }: Pick<RowSource, 'width'>): number =>
  Math.max(1, Math.floor(CHUNK_BYTES / (4 * Math.max(1, width))));

/** The chunk length that `options` or the rows' width settle, and the checked range. */
function chunkPlan(source: { rows: number; width: number }, options: ChunkOptions = {}): Required<ChunkOptions> {
  const { start = 0, end = source.rows } = options;
  if (start < 0 || end < start || end > source.rows) throw new RangeError(`rows ${start} to ${end} of ${source.rows}`);
  const chunkRows = options.chunkRows ?? rowsPerChunk(source);
  if (!(chunkRows >= 1)) throw new RangeError(`chunks of ${chunkRows} rows`);
  return { start, end, chunkRows: Math.floor(chunkRows) };
}

/** Rows that are in memory already; chunks are views of `data`, row-major [rows, width]. */
export function arrayRows(
  name: string,
  data: Float32Array,
  rows: number,
  width: number,
  labels?: Int32Array,
): RowSource {
  if (data.length !== rows * width)
    throw new RangeError(`${name}: ${data.length} numbers for ${rows} rows of ${width}`);
  const source = { name, rows, width, labels };
  return {
    ...source,
    // eslint-disable-next-line @typescript-eslint/require-await -- in memory nothing is waited for
    async *chunks(options) {
      const { start, end, chunkRows } = chunkPlan(source, options);
      for (let at = start; at < end; at += chunkRows) {
        const rows = Math.min(chunkRows, end - at);
        yield { start: at, rows, data: data.subarray(at * width, (at + rows) * width) };
      }
    },
  };
}

/** A file, open for as long as one pass over its rows. */
export interface RowReader {
  readRows(start: number, end: number): Promise<NdArray>;
  close(): Promise<void>;
}

/** Rows that `open` gives access to: each pass opens the file again, reads one chunk ahead, and closes it. */
export function lazyRows(
  { name, rows, width, labels }: Omit<RowSource, 'chunks'>,
  open: () => Promise<RowReader>,
): RowSource {
  const source = { name, rows, width, labels };
  return { ...source, chunks: options => readAhead(chunkPlan(source, options), open) };
}

async function* readAhead(
  { start, end, chunkRows }: Required<ChunkOptions>,
  open: () => Promise<RowReader>,
): AsyncGenerator<RowChunk> {
  const reader = await open();
  const read = async (at: number): Promise<RowChunk> => {
    const rows = Math.min(chunkRows, end - at);
    return { start: at, rows, data: asFloat32((await reader.readRows(at, at + rows)).data) };
  };
  let next: Promise<RowChunk> | undefined;
  try {
    for (let at = start; at < end; at += chunkRows) {
      const chunk = await (next ?? read(at));
      next = at + chunkRows < end ? read(at + chunkRows) : undefined;
      // Its failure is met at the next turn; a consumer that stops before then must not leave it unhandled.
      next?.catch(() => undefined);
      yield chunk;
    }
  } finally {
    await next?.catch(() => undefined);
    await reader.close();
  }
}

/** The rows (first axis, the others flattened) of a .npy file, read from disk on every pass. */
export async function npyRows(path: string, labels?: Int32Array): Promise<RowSource> {
  const file = await openNpy(path);
  await file.close();
  return lazyRows({ name: path, ...rowShape(path, file.shape), labels }, () => openNpy(path));
}

/** The rows of one tensor of a safetensors file, read from disk on every pass. */
export async function tensorRows(path: string, tensor: string, labels?: Int32Array): Promise<RowSource> {
  const file = await openSafetensors(path);
  const shape = file.tensors.get(tensor)?.shape;
  await file.close();
  if (!shape) throw new UserError(`${path}: holds no tensor ${tensor}; it has ${listed([...file.tensors.keys()])}`);
  return lazyRows({ name: `${path}#${tensor}`, ...rowShape(path, shape), labels }, async () => {
    const opened = await openSafetensors(path);
    return { readRows: (start, end) => opened.readRows(tensor, start, end), close: () => opened.close() };
  });
}

function rowShape(path: string, shape: number[]): { rows: number; width: number } {
  if (shape.length < 2)
    throw new UserError(`${path}: has shape [${shape.join(', ')}]; rows need two axes or more, [rows, …]`);
  return { rows: shape[0], width: elementCount(shape.slice(1)) };
}

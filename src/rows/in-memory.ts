import { EXIT, UserError } from '../base/index.js';
import type { Share } from '../distributed/index.js';
import type { RowSource } from './source.js';

interface InMemory {
  /** What needs them, `copies` times. */
  what: string;
  copies: number;
  /** Bytes. */
  memory: number;
  /** The only rows to be read; zeros for the others. */
  share?: Share;
}

/** All rows at once, [rows, width]. @throws UserError beyond the memory. */
export async function rowsInMemory(
  source: RowSource,
  { what, copies, memory, share }: InMemory,
): Promise<Float32Array> {
  const { name, rows, width } = source;
  const bytes = rows * width * 4 * copies;
  if (bytes > memory)
    throw new UserError(
      `${name}: ${what} holds its rows in memory${copies > 1 ? ' twice' : ''}, ${Math.ceil(bytes / 2 ** 20)} MB; raise --memory or --limit the rows`,
      EXIT.failed,
    );
  const data = new Float32Array(rows * width);
  for await (const chunk of source.chunks(share))
    data.set(chunk.data.subarray(0, chunk.rows * width), chunk.start * width);
  return data;
}

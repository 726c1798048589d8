import { EXIT, UserError } from '../base/index.js';
import type { RowSource } from './source.js';

/** All rows at once, [rows, width], for `what` that needs them in memory `copies` times. @throws UserError beyond `memory` bytes. */
export async function rowsInMemory(
  source: RowSource,
  { what, copies, memory }: { what: string; copies: number; memory: number },
): Promise<Float32Array> {
  const { name, rows, width } = source;
  const bytes = rows * width * 4 * copies;
  if (bytes > memory)
    throw new UserError(
      `${name}: ${what} holds its rows in memory${copies > 1 ? ' twice' : ''}, ${Math.ceil(bytes / 2 ** 20)} MB; raise --memory or --limit the rows`,
      EXIT.failed,
    );
  const data = new Float32Array(rows * width);
  for await (const chunk of source.chunks()) data.set(chunk.data.subarray(0, chunk.rows * width), chunk.start * width);
  return data;
}

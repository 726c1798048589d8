import type { Communicator } from './communicator.js';
import { gatherParts } from './exchange.js';

/** The arrays of all ranks, one behind the other; their lengths may differ. One process gets its own array back. */
export async function gathered<A extends Float32Array | Float64Array | Int32Array>(
  communicator: Communicator,
  own: A,
): Promise<A> {
  const parts = await gatherParts(communicator, own);
  if (parts.length === 1) return own;
  const Numbers = own.constructor as new (length: number) => A;
  const all = new Numbers(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

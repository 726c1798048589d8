import { concatenated } from '../base/index.js';
import type { Communicator } from './communicator.js';
import { gatherParts } from './exchange.js';

/** The arrays of all ranks, one behind the other; their lengths may differ. One process gets its own array back. */
export async function gathered<A extends Float32Array | Float64Array | Int32Array>(
  communicator: Communicator,
  own: A,
): Promise<A> {
  const parts = await gatherParts(communicator, own);
  if (parts.length === 1) return own;
  return concatenated(own.constructor as new (length: number) => A, parts);
}

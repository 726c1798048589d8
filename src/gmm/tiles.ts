import { TILE } from './kernels/index.js';
import type { Workspace } from './workspace.js';

/** A number for each tile of the rank's rows → for each tile of all rows, in their order: their sum is the same for any number of ranks. */
export async function tilesOfAll(
  ws: Pick<Workspace, 'rows' | 'share' | 'communicator'>,
  own: Float64Array,
): Promise<Float64Array> {
  const { communicator, rows, share } = ws;
  if (communicator.size === 1) return own;
  const all = new Float64Array(Math.ceil(rows / TILE));
  if (own.length > 0) all.set(own, share.start / TILE);
  await communicator.allReduceSum(all);
  return all;
}

import type { Workspace } from './workspace.js';

/** The numbers of the `count` rows of all ranks for which `logs`, [rows of the share], is smallest, from the smallest on. */
export async function leastLikely(
  { layout, share, communicator }: Workspace,
  logs: Float32Array,
  count: number,
): Promise<number[]> {
  const own = smallest(logs.subarray(0, layout.rows), count);
  const pairs = Float64Array.from(own.flatMap(at => [logs[at], share.start + at]));
  const all = await communicator.allGather(new Uint8Array(pairs.buffer));
  const found = all.flatMap(bytes => pairsIn(new Float64Array(bytes.slice().buffer)));
  // In the order of ranks, which is that of rows, the first of equals comes first.
  return found
    .sort((a, b) => a.log - b.log)
    .slice(0, count)
    .map(({ row }) => row);
}

const pairsIn = (numbers: Float64Array): { log: number; row: number }[] =>
  Array.from({ length: numbers.length / 2 }, (_, i) => ({ log: numbers[2 * i], row: numbers[2 * i + 1] }));

/** The indices of the `count` smallest numbers. */
function smallest(logs: Float32Array, count: number): number[] {
  const found: number[] = [];
  for (let i = 0; i < logs.length; i++) {
    if (found.length === count && logs[i] >= logs[found[count - 1]]) continue;
    const at = found.findIndex(other => logs[i] < logs[other]);
    found.splice(at < 0 ? found.length : at, 0, i);
    if (found.length > count) found.pop();
  }
  return found;
}

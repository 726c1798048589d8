import { alone, type Communicator } from '../distributed/index.js';
import { tf, type Tensor2D } from '../engine/index.js';
import { mergedOverRanks, mostSimilar, type RowBlock } from './exact.js';
import { emptyRanking, insertInto, type Ranking } from './ranking.js';

/** Groups that rows are of; a query finds rows of its own group only. */
export interface Groups {
  queries: Int32Array;
  rows: Int32Array;
}

/**
 * The `k` rows of a stream with the largest inner product with each query, exactly, holding one block at a time. With
 * groups a query may find fewer than `k`; the places left over hold −Infinity. Blocks are freed here. Of several ranks, which have
 * the same queries, each has its own part of the stream, in the order of ranks; all find what is best in the whole.
 */
export async function mostSimilarInStream(
  queries: Tensor2D,
  blocks: AsyncIterable<RowBlock>,
  k: number,
  groups?: Groups,
  communicator: Communicator = alone,
): Promise<Ranking> {
  const best = emptyRanking(queries.shape[0], k);
  for await (const block of blocks) {
    try {
      if (!groups) offer(best, await mostSimilar(queries, [block], k));
      else await offerByGroup(best, queries, block, groups);
    } finally {
      block.x.dispose();
    }
  }
  return communicator.size === 1 ? best : await mergedOverRanks(communicator, best, queries.shape[0], k);
}

/** `queryOf`, `rowOf`: what the numbers in a part are in the whole. */
function offer(
  best: Ranking,
  found: Ranking,
  queryOf = (query: number): number => query,
  rowOf = (row: number): number => row,
): void {
  for (let at = 0; at < found.rows.length; at++)
    insertInto(best, queryOf(Math.floor(at / found.k)), rowOf(found.rows[at]), found.values[at]);
}

async function offerByGroup(best: Ranking, queries: Tensor2D, { x, start }: RowBlock, groups: Groups): Promise<void> {
  const here = membersOf(groups.rows.subarray(start, start + x.shape[0]));
  const asking = membersOf(groups.queries);
  for (const [group, rows] of here) {
    const members = asking.get(group);
    if (!members) continue;
    const [part, own] = tf.tidy(() => [gathered(queries, members), gathered(x, rows)]);
    try {
      const found = await mostSimilar(part, [{ x: own, start: 0 }], best.k);
      offer(
        best,
        found,
        query => members[query],
        row => start + rows[row],
      );
    } finally {
      tf.dispose([part, own]);
    }
  }
}

const gathered = (x: Tensor2D, rows: readonly number[]): Tensor2D =>
  tf.gather(x, tf.tensor1d(rows as number[], 'int32'));

function membersOf(groups: Int32Array): Map<number, number[]> {
  const members = new Map<number, number[]>();
  groups.forEach((group, row) => {
    const own = members.get(group);
    if (own) own.push(row);
    else members.set(group, [row]);
  });
  return members;
}

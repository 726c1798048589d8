import { join } from 'node:path';
import { gatherParts, shareOf, type Communicator } from '../distributed/index.js';
import { widthOf, type LatentsLayout } from './layout.js';
import { openShardRows } from './shards.js';
import {
  channelMoments,
  mergeMoments,
  statisticsOf,
  type ChannelMoments,
  type ChannelStatistics,
} from './statistics.js';
import type { ShardRecord } from './writer-state.js';

/** Numbers that are summed up at once: 4 MiB. */
const BLOCK = 2 ** 20;

/**
 * Statistics of the images in shards, as they are stored. Sums are made of blocks whose limits depend on the rows' number
 * alone and added up in their order, so that the result has the same bits whatever the shards and the ranks are.
 */
export async function statisticsOfShards(
  folder: string,
  shards: readonly ShardRecord[],
  layout: LatentsLayout,
  communicator: Communicator,
): Promise<ChannelStatistics> {
  const rows = shards.reduce((sum, shard) => sum + shard.rows, 0);
  const size = Math.max(1, Math.floor(BLOCK / widthOf(layout)));
  const { start, end } = shareOf(communicator, rows, size);
  const moments: ChannelMoments[] = [];
  if (start < end) {
    const reader = await openShardRows(shards.map(({ file }) => join(folder, file)));
    try {
      for (let at = start; at < end; at += size)
        moments.push(channelMoments(await reader.readRows(at, Math.min(end, at + size), false), layout));
    } finally {
      await reader.close();
    }
  }
  const all = await gatherParts(communicator, moments);
  return statisticsOf(all.flat().reduce(mergeMoments));
}

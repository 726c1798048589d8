import type { Channel } from '../channel.js';
import type { Launch } from '../launcher.js';
import { starChannel } from './channel.js';
import { meet } from './meet.js';
import type { MeetingPoint } from './meeting-point.js';
import type { Watch, WatchOptions } from './watch.js';
import { startWatch } from './watcher.js';

/**
 * Joins ranks that torchrun or a plain srun has started, by connections for what they exchange and others for signs of
 * life. @throws UserError where they do not find each other.
 */
export async function joinByTcp(
  launch: Pick<Launch, 'rank' | 'size'>,
  point: MeetingPoint,
  options: WatchOptions,
): Promise<Channel> {
  const watched: { watch?: Watch } = {};
  // While ranks meet, the watch itself misses who has gone.
  const meeting = meet(launch, point, options, (rank, why) => {
    watched.watch?.suspect(rank, 'message' in why ? why.message : 'it has ended');
  });
  const [watch, star] = await Promise.all([startWatch(launch, point, options), meeting]);
  watched.watch = watch;
  return starChannel(star, watch);
}

import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { EXIT } from '../../base/index.js';
import type { Launch } from '../launcher.js';
import { meet, type MeetOptions } from './meet.js';
import type { MeetingPoint } from './meeting-point.js';
import type { Ended, Peer } from './peer.js';

/** What notices that a rank has gone, and ends all. */
export interface Watch {
  /** Tells all ranks to end with a code. */
  end(code: number): Promise<void>;
  /** From now on the others may go. */
  close(): Promise<void>;
  /** Says that a connection to a rank was lost; unless why is known already, or soon, that rank is taken for gone. */
  suspect(rank: number, why: string): void;
}

export interface WatchOptions extends MeetOptions {
  /** Seconds after which a rank of which nothing is heard is gone: a host without power, or a link, says no goodbye. */
  silence?: number | undefined;
}

const SILENCE = 15;
const BEAT_MS = 1000;
/** In which the reason for which a rank has closed its connections arrives. */
const REASON_MS = 1000;
const NOTHING = new Uint8Array(0);

/**
 * Connects the ranks a second time, for signs of life: each second every rank sends one to rank 0, and rank 0 one to
 * every rank. Where one has gone, rank 0 tells the others to end; where rank 0 has, they notice by themselves, and one of
 * them calls `lost` with the message.
 */
export async function watchRanks(
  launch: Pick<Launch, 'rank' | 'size'>,
  point: MeetingPoint,
  { lost, patience, silence = SILENCE }: WatchOptions,
): Promise<Watch> {
  let over = false as boolean;
  let tells = launch.rank <= 1;
  let peers: Peer[] = [];
  const end = async (code: number): Promise<void> => {
    over = true;
    await Promise.allSettled(peers.map(peer => peer.abort(code)));
  };
  const gone = (rank: number, why: Ended): void => {
    if (over) return;
    const [code, message] = 'code' in why ? [why.code] : [EXIT.failed, `rank ${rank} is gone: ${why.message}`];
    void end(code).then(() => lost(code, tells ? message : undefined));
  };
  ({ peers } = await meet(launch, { ...point, job: `${point.job} watch` }, { patience }, gone));
  const teller = await tellerOf(launch.rank, peers);
  tells = [0, teller].includes(launch.rank);
  const missed = peers.map(() => 0);
  peers.forEach((peer, i) => void eachBeat(peer, () => (missed[i] = 0)));
  const beat = async (): Promise<void> => {
    while (!over) {
      await pause(BEAT_MS, undefined, { ref: false });
      peers.forEach((peer, i) => {
        void peer.send(NOTHING).catch(() => undefined);
        // Beats are counted, not timed: a job that is suspended as a whole has missed none.
        if (++missed[i] * BEAT_MS > silence * 1000)
          gone(launch.rank === 0 ? i + 1 : 0, { message: `nothing was heard of it for ${silence} s` });
      });
    }
  };
  void beat();
  return {
    end,
    close: () => {
      over = true;
      for (const peer of peers) peer.close();
      return Promise.resolve();
    },
    suspect: (rank, why) => void pause(REASON_MS, undefined, { ref: false }).then(() => gone(rank, { message: why })),
  };
}

async function eachBeat(peer: Peer, heard: () => void): Promise<void> {
  try {
    for (;;) {
      await peer.receive();
      heard();
    }
  } catch {
    // The connection has ended, which `gone` is told.
  }
}

/** The rank that tells of the loss of rank 0: one on another host, if there is one, so that it outlives that host. */
async function tellerOf(rank: number, peers: Peer[]): Promise<number> {
  if (rank > 0) {
    await peers[0].send(new TextEncoder().encode(hostname()));
    return new DataView((await peers[0].receive()).buffer).getUint32(0);
  }
  const hosts = await Promise.all(peers.map(async peer => new TextDecoder().decode(await peer.receive())));
  const other = hosts.findIndex(host => host !== hostname());
  const teller = new DataView(new ArrayBuffer(4));
  teller.setUint32(0, other < 0 ? 1 : other + 1);
  await Promise.all(peers.map(peer => peer.send(new Uint8Array(teller.buffer))));
  return 0;
}

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { EXIT, UserError } from '../../base/index.js';
import type { Launch } from '../launcher.js';
import { Peer, type Ended } from './peer.js';
import type { MeetingPoint } from './meeting-point.js';

export interface MeetOptions {
  /** Called where another rank has gone (with a message) or has ended all with a code. */
  lost: (code: number, message?: string) => void;
  /** Seconds that all ranks may take to come. */
  patience?: number | undefined;
}

const PATIENCE = 60;
const RETRY_MS = 100;
/** In which rank 0 answers where it listens. */
const ANSWER_MS = 3000;

/** Of this rank: rank 0 has a connection to each other, by rank; the others have one, to rank 0. */
export interface Star {
  rank: number;
  size: number;
  peers: Peer[];
}

/**
 * Connects ranks that have no MPI between them: rank 0 listens at the first free port of the meeting point, the others look
 * for it there. @throws UserError where they do not find each other.
 * @param ended called once for each connection that ends before its `close`, with the rank at its other side
 */
export async function meet(
  { rank, size }: Pick<Launch, 'rank' | 'size'>,
  point: MeetingPoint,
  { patience = PATIENCE }: Pick<MeetOptions, 'patience'>,
  ended: (rank: number, why: Ended) => void,
): Promise<Star> {
  const until = performance.now() + 1000 * patience;
  const peers =
    rank === 0
      ? await admitAll(await listen(point), point, size, { ended, until })
      : [await introduce(point, rank, { ended, until })];
  return { rank, size, peers };
}

interface Meeting {
  ended: (rank: number, why: Ended) => void;
  until: number;
}

/** Rank 0: answers every other rank's hello until all have come. Whoever says something else is sent away. */
async function admitAll(server: Server, point: MeetingPoint, size: number, meeting: Meeting): Promise<Peer[]> {
  const admitted = new Map<number, Peer>();
  const complete = new Promise<void>(resolve => {
    server.on('connection', (socket: Socket) => {
      let rank: number | undefined;
      const peer = new Peer(socket, why => {
        if (rank !== undefined) meeting.ended(rank, why);
      });
      void peer.receive().then(
        bytes => {
          rank = rankOf(bytes, point, size);
          if (rank === undefined || admitted.has(rank)) return void socket.destroy();
          admitted.set(rank, peer);
          void peer.send(new Uint8Array(0)).catch(() => undefined);
          if (admitted.size === size - 1) resolve();
        },
        () => socket.destroy(),
      );
    });
  });
  try {
    await Promise.race([complete, tooLate(meeting.until, () => absent(admitted, size))]);
  } finally {
    server.close();
  }
  return Array.from({ length: size - 1 }, (_, i) => admitted.get(i + 1)!);
}

function absent(admitted: Map<number, Peer>, size: number): string {
  const missing = Array.from({ length: size - 1 }, (_, i) => i + 1).filter(rank => !admitted.has(rank));
  return `rank ${missing.join(', ')} did not come within the time`;
}

async function tooLate(until: number, message: () => string): Promise<never> {
  await pause(Math.max(0, until - performance.now()), undefined, { ref: false });
  throw new UserError(message(), EXIT.failed);
}

/** Other ranks: the connection to rank 0, once that has answered. */
async function introduce(point: MeetingPoint, rank: number, { ended, until }: Meeting): Promise<Peer> {
  while (performance.now() < until) {
    for (const port of point.ports) {
      const peer = await answered(point, port, rank, ended);
      if (peer) return peer;
    }
    await pause(RETRY_MS);
  }
  throw new UserError(
    `rank 0 was not found at ${point.host}, ports ${point.ports[0]} to ${point.ports.at(-1)}: is it up, and is there a firewall between?`,
    EXIT.failed,
  );
}

/** The connection, if rank 0 of this job is what listens at this port. */
async function answered(
  point: MeetingPoint,
  port: number,
  rank: number,
  ended: Meeting['ended'],
): Promise<Peer | undefined> {
  const socket = connect({ host: point.host, port });
  const until = performance.now() + ANSWER_MS;
  try {
    await Promise.race([once(socket, 'connect'), tooLate(until, () => 'no connection')]);
    let met = false;
    const peer = new Peer(socket, why => {
      if (met) ended(0, why);
    });
    await peer.send(hello(point, rank));
    await Promise.race([peer.receive(), tooLate(until, () => 'no answer')]);
    met = true;
    return peer;
  } catch {
    socket.destroy();
    return undefined;
  }
}

async function listen({ ports }: MeetingPoint): Promise<Server> {
  for (const port of ports) {
    const server = createServer();
    try {
      server.listen(port);
      await once(server, 'listening');
      return server;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
  throw new UserError(`rank 0: ports ${ports[0]} to ${ports.at(-1)} are all in use`, EXIT.failed);
}

const hello = ({ job }: MeetingPoint, rank: number): Uint8Array =>
  new TextEncoder().encode(JSON.stringify({ job, rank }));

/** The rank that a hello of this job tells. */
function rankOf(bytes: Uint8Array, { job }: MeetingPoint, size: number): number | undefined {
  try {
    const said = JSON.parse(new TextDecoder().decode(bytes)) as { job?: unknown; rank?: unknown };
    const { rank } = said;
    return said.job === job && Number.isInteger(rank) && (rank as number) > 0 && (rank as number) < size
      ? (rank as number)
      : undefined;
  } catch {
    return undefined;
  }
}

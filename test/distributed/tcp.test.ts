import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { joinByTcp } from '../../src/distributed/tcp/index.js';

type Rank = Awaited<ReturnType<typeof joinByTcp>>;
type Lost = (code: number, message?: string) => void;

const nobodyLost: Lost = (code, message) => {
  throw new Error(`lost a rank: ${message ?? code}`);
};

let port = 21_000 + (process.pid % 5000);
const pointOf = () => ({ host: '127.0.0.1', ports: [++port, ++port, ++port], job: 'test' });

/** Connects so many ranks within this process. */
const connected = async (size: number, point = pointOf(), lost = nobodyLost): Promise<Rank[]> =>
  await Promise.all(
    Array.from({ length: size }, (_, rank) => joinByTcp({ rank, size }, point, { lost, patience: 10 })),
  );

const closed = async (ranks: Rank[]): Promise<void> => {
  await Promise.all(ranks.map(rank => rank.close()));
};

test('arrays are added up in the order of ranks, with the same bits on all', async () => {
  const ranks = await connected(3);
  const values = [0.1, 0.7, 1e8];
  const arrays = ranks.map(({ rank }) => Float32Array.of(values[rank], rank));
  await Promise.all(ranks.map((rank, i) => rank.allReduceSum(arrays[i])));
  const sum = Math.fround(Math.fround(Math.fround(0.1) + Math.fround(0.7)) + 1e8);
  for (const array of arrays) expect(array).toEqual(Float32Array.of(sum, 3));
  await closed(ranks);
});

test.each([0, 1, 2])('rank %i gives its array to the others', async root => {
  const ranks = await connected(3);
  const arrays = ranks.map(({ rank }) => Int32Array.of(rank, 10 * rank));
  await Promise.all(ranks.map((rank, i) => rank.broadcast(arrays[i], root)));
  for (const array of arrays) expect(array).toEqual(Int32Array.of(root, 10 * root));
  await closed(ranks);
});

test('bytes of unequal length, or none, come in the order of ranks', async () => {
  const ranks = await connected(3);
  const all = await Promise.all(ranks.map(({ rank, allGather }) => allGather(new Uint8Array(rank).fill(rank))));
  for (const parts of all) expect(parts.map(part => [...part])).toEqual([[], [1], [2, 2]]);
  await closed(ranks);
});

test('operations begun before the one before has ended keep their order', async () => {
  const ranks = await connected(2);
  const sums = await Promise.all(
    ranks.map(async ({ rank, allReduceSum }) => {
      const [small, large] = [Float64Array.of(rank), new Float64Array(300_000).fill(rank + 1)];
      await Promise.all([allReduceSum(large), allReduceSum(small)]);
      return [small[0], large[299_999]];
    }),
  );
  expect(sums).toEqual([
    [1, 3],
    [1, 3],
  ]);
  await closed(ranks);
});

/** Ends all ranks by one of them, but not the process that they are in here. */
async function aborted(rank: Rank, code: number): Promise<void> {
  const exit = process.exit.bind(process);
  await new Promise<void>(ended => {
    process.exit = (() => ended()) as never;
    void rank.abort(code);
  });
  process.exit = exit;
}

test('ranks that exchange different things are told that they are out of step', async () => {
  const { ranks, links } = await overLinks(2, { lost: () => undefined });
  void ranks[1].allReduceSum(new Float64Array(3));
  const sum = ranks[0].allReduceSum(new Float64Array(2));
  await expect(sum).rejects.toThrow('ranks are out of step: 24 bytes came where 16 belong');
  for (const link of links) link.cut();
});

test('a rank that ends all tells each of the others its code, and no more', async () => {
  const heard: unknown[][] = [];
  const { ranks, links } = await overLinks(3, { lost: (code, message) => heard.push([code, message]) });
  await aborted(ranks[1], 7);
  await until(() => heard.length === 2);
  expect(heard).toEqual([
    [7, undefined],
    [7, undefined],
  ]);
  for (const link of links) link.cut();
});

/** Waits for what the ranks of this process are about to notice. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await pause(20);
}

/** Connects ranks each of which has its own way to rank 0, whose only ways those are. */
async function overLinks(
  size: number,
  { lost, silence }: { lost: (code: number, message: string | undefined, rank: number) => void; silence?: number },
): Promise<{ ranks: Rank[]; links: Link[] }> {
  const point = pointOf();
  const links = await Promise.all(Array.from({ length: size - 1 }, () => linkTo(point.ports)));
  const points = [point, ...links.map(({ ports }) => ({ ...point, ports }))];
  const ranks = await Promise.all(
    points.map((own, rank) =>
      joinByTcp({ rank, size }, own, { lost: (code, message) => lost(code, message, rank), patience: 10, silence }),
    ),
  );
  return { ranks, links };
}

/** What one would read where the links of a rank among three are cut, by whoever says it, once all have ended. */
async function toldAfter(cut: (link: Link) => void, of: number): Promise<string[]> {
  const ended: number[] = [];
  const told: string[] = [];
  const { ranks, links } = await overLinks(3, {
    lost: (_, message, rank) => {
      ended.push(rank);
      if (message !== undefined) told.push(`rank ${rank} says: ${message}`);
    },
    silence: 1,
  });
  const never = ranks[0].barrier();
  for (const link of of === 0 ? links : [links[of - 1]]) cut(link);
  await until(() => ended.length === 3);
  await expect(Promise.race([never, pause(50, 'waits')])).resolves.toBe('waits');
  for (const link of links) link.cut();
  return told;
}

test('the loss of a rank is told once, by rank 0, and ends all', async () => {
  const told = await toldAfter(link => link.cut(), 2);
  expect(told.filter(line => line.startsWith('rank 0'))).toEqual([expect.stringMatching(/rank 2 is gone: /)]);
  expect(told.filter(line => line.startsWith('rank 1'))).toEqual([]);
});

test('the loss of rank 0 is told by one of the others', async () => {
  const told = await toldAfter(link => link.cut(), 0);
  expect(told.filter(line => !line.startsWith('rank 0'))).toEqual([
    'rank 1 says: rank 0 is gone: its connection was closed',
  ]);
});

test('a link on which nothing comes any more is noticed', async () => {
  const told = await toldAfter(link => link.hush(), 2);
  expect(told[0]).toBe('rank 0 says: rank 2 is gone: nothing was heard of it for 1 s');
});

test('strangers at the port are sent away', async () => {
  const point = pointOf();
  const meeting = connected(2, point);
  const stranger = connect(point.ports[0], '127.0.0.1');
  stranger.on('error', () => undefined);
  stranger.write('GET / HTTP/1.1\r\n\r\n');
  await closed(await meeting);
  stranger.destroy();
});

test('a port in use is passed over', async () => {
  const point = pointOf();
  const silent = createServer().listen(point.ports[0]);
  await once(silent, 'listening');
  await closed(await connected(2, point));
  silent.close();
});

test('a rank that does not come is named', async () => {
  const alone = joinByTcp({ rank: 0, size: 3 }, pointOf(), { lost: nobodyLost, patience: 0.2 });
  await expect(alone).rejects.toThrow('rank 1, 2 did not come');
});

test('without a rank 0 the others say where they looked', async () => {
  const point = pointOf();
  const alone = joinByTcp({ rank: 1, size: 2 }, point, { lost: nobodyLost, patience: 0.3 });
  await expect(alone).rejects.toThrow(
    `rank 0 was not found at 127.0.0.1, ports ${point.ports[0]} to ${point.ports[2]}`,
  );
});

interface Link {
  /** Where it is entered. */
  ports: number[];
  /** Ends its connections. */
  cut: () => void;
  /** From now on it carries nothing, without saying so. */
  hush: () => void;
}

/** A link by way of this process to each of the ports. */
async function linkTo(ports: number[]): Promise<Link> {
  const sockets: Socket[] = [];
  const entries = await Promise.all(
    ports.map(async target => {
      const server = createServer(near => {
        const far = connect(target, '127.0.0.1');
        for (const [from, to] of [
          [near, far],
          [far, near],
        ]) {
          sockets.push(from);
          from.on('error', () => to.destroy());
          from.on('close', () => to.destroy());
          from.pipe(to);
        }
      }).listen(0);
      await once(server, 'listening');
      server.unref();
      return (server.address() as AddressInfo).port;
    }),
  );
  return {
    ports: entries,
    cut: () => sockets.forEach(socket => socket.destroy()),
    hush: () => sockets.forEach(socket => socket.unpipe().pause()),
  };
}

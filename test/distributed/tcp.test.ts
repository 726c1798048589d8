import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { meet } from '../../src/distributed/tcp/index.js';

type Rank = Awaited<ReturnType<typeof meet>>;
type Lost = (code: number, message?: string) => void;

const nobodyLost: Lost = (code, message) => {
  throw new Error(`lost a rank: ${message ?? code}`);
};

let port = 21_000 + (process.pid % 5000);
const pointOf = () => ({ host: '127.0.0.1', ports: [++port, ++port], job: 'test' });

/** Connects so many ranks within this process. */
const connected = async (size: number, point = pointOf(), lost = nobodyLost): Promise<Rank[]> =>
  await Promise.all(
    Array.from({ length: size }, (_, rank) =>
      meet({ launcher: 'torchrun', rank, size }, point, { lost, patience: 10 }),
    ),
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
  const [first, second] = await connected(2, pointOf(), () => undefined);
  const sums = [first.allReduceSum(new Float64Array(2)), second.allReduceSum(new Float64Array(3))];
  await expect(sums[0]).rejects.toThrow('ranks are out of step: 24 bytes came where 16 belong');
  await Promise.all([aborted(first, 1), expect(sums[1]).rejects.toThrow('ended with code 1')]);
});

test('a rank that ends all tells the others its code', async () => {
  const heard: number[] = [];
  const ranks = await connected(3, pointOf(), code => heard.push(code));
  const others = [ranks[0], ranks[2]].map(rank => expect(rank.barrier()).rejects.toThrow('ended with code 7'));
  await Promise.all([aborted(ranks[1], 7), ...others]);
  expect(heard.filter(code => code === 7)).toHaveLength(2);
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
  const alone = meet({ launcher: 'torchrun', rank: 0, size: 3 }, pointOf(), { lost: nobodyLost, patience: 0.2 });
  await expect(alone).rejects.toThrow('rank 1, 2 did not come');
});

test('without a rank 0 the others say where they looked', async () => {
  const point = pointOf();
  const alone = meet({ launcher: 'torchrun', rank: 1, size: 2 }, point, { lost: nobodyLost, patience: 0.3 });
  await expect(alone).rejects.toThrow(
    `rank 0 was not found at 127.0.0.1, ports ${point.ports[0]} to ${point.ports[1]}`,
  );
});

import { describe, expect, test } from '@jest/globals';
import { EXIT, UserError } from '../../src/base/index.js';
import { inTurns, turnsOf, type Communicator } from '../../src/distributed/index.js';
import { asRanks } from '../helpers/ranks.js';

/** What a rank makes of its turns at `count` things: its number and the thing's, after a while that differs. */
async function* own({ rank, size }: Communicator, count: number): AsyncGenerator<[rank: number, thing: number], void> {
  for (const thing of turnsOf({ rank, size }, count)) {
    for (let i = 0; i < (thing * 7) % 5; i++) await Promise.resolve();
    yield [rank, thing];
  }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe('ranks that take turns', () => {
  test.each([
    [1, 3],
    [2, 4],
    [2, 5],
    [3, 7],
    [4, 2],
    [2, 0],
  ])('%d of them: each gets all %d things in order, each made by one', async (size, count) => {
    const found = await asRanks(size, communicator => all(inTurns(communicator, own(communicator, count))));
    const expected = Array.from({ length: count }, (_, thing) => [thing % size, thing]);
    expect(found).toEqual(new Array(size).fill(expected));
  });

  test('an interruption that one hears ends all, after what came before it', async () => {
    async function* stopped(communicator: Communicator): AsyncGenerator<number, void> {
      for (const thing of turnsOf(communicator, 9)) {
        if (thing === 4) throw new UserError('interrupted', EXIT.interrupted);
        yield await Promise.resolve(thing);
      }
    }
    const ended = await asRanks(3, async communicator => {
      const seen: number[] = [];
      try {
        for await (const thing of inTurns(communicator, stopped(communicator))) seen.push(thing);
      } catch (error) {
        return { seen, error };
      }
      return { seen };
    });
    const error = expect.objectContaining({ message: 'interrupted', exitCode: EXIT.interrupted });
    expect(ended).toEqual(new Array(3).fill({ seen: [0, 1, 2], error }));
  });

  test('who reads no further lets each rank end its own', async () => {
    const ended: number[] = [];
    async function* endless({ rank }: Communicator): AsyncGenerator<number, void> {
      try {
        for (;;) yield await Promise.resolve(rank);
      } finally {
        ended.push(rank);
      }
    }
    await asRanks(2, async communicator => {
      for await (const rank of inTurns(communicator, endless(communicator))) if (rank === 1) break;
    });
    expect(ended.sort()).toEqual([0, 1]);
  });
});

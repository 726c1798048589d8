import { expect, test } from '@jest/globals';
import { EXIT, UserError } from '../../src/base/index.js';
import { byFirst, heldByFirst, inParts } from '../../src/distributed/index.js';
import { asRanks } from '../helpers/ranks.js';

const settled = async <T>(size: number, work: Parameters<typeof asRanks<T>>[1]): Promise<PromiseSettledResult<T>[]> => {
  let results: PromiseSettledResult<T>[] = [];
  await asRanks(size, async communicator => {
    const [result] = await Promise.allSettled([work(communicator)]);
    results = Object.assign([...results], { [communicator.rank]: result });
  });
  return results;
};
const refusal = (reason: unknown) => ({ status: 'rejected', reason });

test('what rank 0 does alone, all ranks get', async () => {
  const ran: number[] = [];
  const values = await asRanks(3, communicator =>
    byFirst(communicator, () => {
      ran.push(communicator.rank);
      return { files: ['a', 'b'] };
    }),
  );
  expect([ran, values]).toEqual([[0], new Array(3).fill({ files: ['a', 'b'] })]);
});

test('what rank 0 is refused, all ranks are refused, with its exit code', async () => {
  const said = expect.objectContaining({ message: 'out: exists already', exitCode: EXIT.failed });
  expect(
    await settled(2, communicator =>
      byFirst(communicator, () => {
        throw new UserError('out: exists already', EXIT.failed);
      }),
    ),
  ).toEqual([refusal(said), refusal(said)]);
});

test('rank 0 holds for all until the last has ended', async () => {
  const log: string[] = [];
  await asRanks(2, communicator =>
    heldByFirst(
      communicator,
      async body => {
        log.push('held');
        await body();
        log.push('let go');
      },
      async () => {
        for (let turn = 0; turn < 20 * communicator.rank; turn++) await Promise.resolve();
        log.push(`rank ${communicator.rank}`);
      },
    ),
  );
  expect(log).toEqual(['held', 'rank 0', 'rank 1', 'let go']);
});

test('where rank 0 may not hold, no rank begins', async () => {
  let begun = 0;
  const held = () => Promise.reject<number>(new UserError('out: in use', EXIT.failed));
  const work = () => Promise.resolve(begun++);
  const said = expect.objectContaining({ message: 'out: in use' });
  expect(await settled(2, communicator => heldByFirst(communicator, held, work))).toEqual([
    refusal(said),
    refusal(said),
  ]);
  expect(begun).toBe(0);
});

test('an interruption of one rank is thrown by all, once each has ended its part', async () => {
  const ended: number[] = [];
  const results = await settled(3, communicator =>
    inParts(communicator, () => {
      ended.push(communicator.rank);
      return communicator.rank === 1
        ? Promise.reject(new UserError('interrupted at 4', EXIT.interrupted))
        : Promise.resolve('done');
    }),
  );
  const said = expect.objectContaining({ message: 'interrupted at 4', exitCode: EXIT.interrupted });
  expect(results).toEqual(new Array(3).fill(refusal(said)));
  expect(ended).toHaveLength(3);
});

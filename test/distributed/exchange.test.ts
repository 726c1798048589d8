import { expect, test } from '@jest/globals';
import {
  agreeOn,
  agreeOnEach,
  anyOf,
  gatherValues,
  sumOf,
  sumTogether,
  valueOfFirst,
  type Communicator,
} from '../../src/distributed/index.js';
import { asRanks } from '../helpers/ranks.js';

test('values of all ranks come in the order of ranks', async () => {
  const all = await asRanks(3, communicator => gatherValues(communicator, { at: communicator.rank }));
  expect(all).toEqual(new Array(3).fill([{ at: 0 }, { at: 1 }, { at: 2 }]));
});

test('rank 0 tells the others its value', async () => {
  expect(await asRanks(2, communicator => valueOfFirst(communicator, ['a', 'b'][communicator.rank]))).toEqual([
    'a',
    'a',
  ]);
});

test('numbers are added up over ranks', async () => {
  expect(await asRanks(3, communicator => sumOf(communicator, communicator.rank + 1))).toEqual([6, 6, 6]);
});

test('what one rank has heard of, all know', async () => {
  expect(await asRanks(2, communicator => anyOf(communicator, communicator.rank === 1))).toEqual([true, true]);
  expect(await asRanks(2, communicator => anyOf(communicator, false))).toEqual([false, false]);
});

test('ranks with different inputs are told which differ', async () => {
  const digests = ['abc', 'abc', 'xyz'];
  await expect(
    asRanks(3, communicator => agreeOn(communicator, 'the digest of latents/mae', digests[communicator.rank])),
  ).rejects.toThrow('the digest of latents/mae is not the same for all ranks: "abc" for rank 0, "xyz" for rank 2');
});

test('of several inputs that differ, the first is named', async () => {
  const settings = (communicator: Communicator): Promise<void> =>
    agreeOnEach(communicator, { same: 1, components: [2, 3][communicator.rank], seed: communicator.rank });
  await expect(asRanks(2, settings)).rejects.toThrow(
    'components is not the same for all ranks: 2 for rank 0, 3 for rank 1',
  );
});

test('several arrays are added up in one exchange', async () => {
  const sums = await asRanks(2, async communicator => {
    const arrays = [Float64Array.of(1, 2), Float32Array.of(communicator.rank)];
    await sumTogether(communicator, arrays);
    return arrays.map(array => [...array]);
  });
  expect(sums).toEqual([
    [[2, 4], [1]],
    [[2, 4], [1]],
  ]);
});

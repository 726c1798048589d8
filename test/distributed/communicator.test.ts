import { expect, test } from '@jest/globals';
import { alone } from '../../src/distributed/index.js';

test('one process alone leaves its arrays as they are', async () => {
  const array = Float32Array.of(1, NaN, -0);
  await alone.allReduceSum(array);
  await alone.broadcast(array, 0);
  await alone.barrier();
  expect([alone.rank, alone.size]).toEqual([0, 1]);
  expect(array).toEqual(Float32Array.of(1, NaN, -0));
  expect(await alone.allGather(Uint8Array.of(1, 2))).toEqual([Uint8Array.of(1, 2)]);
});

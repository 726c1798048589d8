import { expect, test } from '@jest/globals';
import { concatenated, dealt } from '../../src/base/index.js';

test('arrays stand one behind the other, in the kind that is asked for', () => {
  expect(concatenated(Float64Array, [Float32Array.of(1, 2), [], Int32Array.of(3)])).toEqual(Float64Array.of(1, 2, 3));
  expect(concatenated(Uint8Array, [])).toEqual(new Uint8Array(0));
});

test('what stands one behind the other is dealt out again', () => {
  const parts = [new Float32Array(2), new Float32Array(0), new Float32Array(1)];
  dealt(Float64Array.of(1, 2, 3), parts);
  expect(parts).toEqual([Float32Array.of(1, 2), new Float32Array(0), Float32Array.of(3)]);
});

import { beforeAll, describe, expect, it } from '@jest/globals';
import { startEngine, tensorArray, tf } from '../../src/engine/index.js';

beforeAll(async () => {
  await startEngine();
});

describe('an array for a tensor', () => {
  it('holds zeros until it is filled, and becomes a tensor as any other', () => {
    const array = tensorArray(6);
    expect(Array.from(array)).toEqual([0, 0, 0, 0, 0, 0]);
    array.set([1, 2, 3, 4, 5, 6]);
    const doubled = tf.tidy(() => tf.tensor2d(array, [2, 3]).mul(2).dataSync());
    expect(Array.from(doubled)).toEqual([2, 4, 6, 8, 10, 12]);
  });
});

import { beforeAll, describe, expect, test } from '@jest/globals';
import { einsum, RandomStream, startEngine, tf } from '../../src/engine/index.js';

beforeAll(async () => {
  await startEngine();
});

describe('einsum', () => {
  test('attention scores equal their sum by hand', () => {
    const random = new RandomStream(1);
    const q = random.for('q').normalTensor([2, 3, 2, 4]);
    const k = random.for('k').normalTensor([2, 5, 2, 4]);
    const byHand = tf.matMul(q.transpose([0, 2, 1, 3]), k.transpose([0, 2, 1, 3]), false, true);
    expect(einsum('n q h d, n k h d -> n h q k', q, k).dataSync()).toBeAllClose(byHand.dataSync());
  });

  test('has a gradient', () => {
    const a = tf.tensor2d([
      [1, 2],
      [3, 4],
    ]);
    const b = tf.tensor2d([
      [5, 6],
      [7, 8],
    ]);
    const gradient = tf.grad(x => einsum('i j, j k -> i k', x, b).sum())(a);
    expect(gradient.dataSync()).toBeAllClose([11, 15, 11, 15]);
  });

  test('an axis of two lengths is refused', () => {
    expect(() => einsum('i j, j k -> i k', tf.zeros([2, 3]), tf.zeros([4, 2]))).toThrow('axis j is 3 and 4');
  });
});

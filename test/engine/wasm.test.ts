import { beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RandomStream, startEngine, tf } from '../../src/engine/index.js';

beforeAll(async () => {
  await startEngine('wasm');
});

const random = new RandomStream(2);

test('any permutation of any axes puts every number where it belongs', () => {
  const permutations = fc
    .integer({ min: 2, max: 6 })
    .chain(rank =>
      fc.tuple(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: rank, maxLength: rank }),
        fc.shuffledSubarray([...Array(rank).keys()], { minLength: rank }),
      ),
    );
  fc.assert(
    fc.property(permutations, ([shape, perm]) => {
      const numbers = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, (_, i) => i);
      const x = tf.tensor(numbers, shape);
      const y = tf.transpose(x, perm);
      expect(y.shape).toEqual(perm.map(axis => shape[axis]));
      const [from, to] = [tf.util.computeStrides(shape).concat(1), tf.util.computeStrides(y.shape).concat(1)];
      const found = y.dataSync();
      for (let at = 0; at < found.length; at++) {
        let source = 0;
        perm.forEach((axis, i) => (source += (Math.floor(at / to[i]) % y.shape[i]) * from[axis]));
        expect(found[at]).toBe(source);
      }
      tf.dispose([x, y]);
    }),
    { numRuns: 60 },
  );
});

test('products of transposed matrices are those of matrices, and leave nothing behind', () => {
  for (const [m, k, n] of [
    [5, 7, 3],
    [40, 60, 4],
    [4, 60, 40],
  ]) {
    const a = random.for('a').normalTensor([m, k]);
    const b = random.for('b').normalTensor([k, n]);
    const expected = tf.matMul(a, b).dataSync();
    const [aT, bT] = [tf.transpose(a), tf.transpose(b)];
    const before = tf.memory().numDataBuffers;
    for (const product of [tf.matMul(aT, b, true), tf.matMul(a, bT, false, true), tf.matMul(aT, bT, true, true)]) {
      expect(product.dataSync()).toBeAllClose(expected, { rtol: 1e-5, atol: 1e-5 });
      product.dispose();
    }
    expect(tf.memory().numDataBuffers).toBe(before);
    tf.dispose([a, b, aT, bT]);
  }
});

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

test('products of any size, order of axes and batch are sums of products, and leave nothing behind', () => {
  const size = fc.integer({ min: 1, max: 21 });
  const batches: [a: number[], b: number[], product: number[]][] = [
    [[], [], []],
    [[3], [3], [3]],
    [
      [2, 3],
      [2, 3],
      [2, 3],
    ],
    [[1], [], [1]],
    [[], [1], [1]],
    [[4], [1], [4]],
    [[1], [4], [4]],
    [[], [2], [2]],
  ];
  const side = fc.boolean();
  fc.assert(
    fc.property(size, size, size, fc.constantFrom(...batches), side, side, (m, k, n, [left, right, both], tA, tB) => {
      const a = random.for('a').normalTensor([...left, ...(tA ? [k, m] : [m, k])]);
      const b = random.for('b').normalTensor([...right, ...(tB ? [n, k] : [k, n])]);
      const before = tf.memory().numDataBuffers;
      const product = tf.matMul(a, b, tA, tB);
      expect(product.shape).toEqual([...both, m, n]);
      const [x, y] = [a.dataSync(), b.dataSync()];
      const expected = Float64Array.from({ length: product.size }, (_, at) => {
        const [matrix, i, j] = [Math.floor(at / (m * n)), Math.floor(at / n) % m, at % n];
        const [fromA, fromB] = [(matrix * m * k) % x.length, (matrix * k * n) % y.length];
        let sum = 0;
        for (let l = 0; l < k; l++)
          sum += x[fromA + (tA ? l * m + i : i * k + l)] * y[fromB + (tB ? j * k + l : l * n + j)];
        return sum;
      });
      expect(product.dataSync()).toBeAllClose(expected, { rtol: 1e-5, atol: 1e-5 });
      product.dispose();
      expect(tf.memory().numDataBuffers).toBe(before);
      tf.dispose([a, b]);
    }),
    { numRuns: 300 },
  );
});

test('products of what does not fit together are refused', () => {
  expect(() => tf.matMul(tf.zeros([2, 3]), tf.zeros([4, 5]))).toThrow(/3.*4/);
  expect(() => tf.matMul(tf.zeros([2, 2, 3]), tf.zeros([3, 3, 5]))).toThrow(/broadcast/);
});

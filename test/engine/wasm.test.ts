import { setTimeout as pause } from 'node:timers/promises';
import { beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  applyAdam,
  moveTowards,
  RandomStream,
  startEngine,
  sumOfSquares,
  tf,
  variable,
  type Tensor,
} from '../../src/engine/index.js';

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

test('large products, which threads share, have the numbers of their parts to the last bit', async () => {
  const [m, k, n] = [121, 150, 1030];
  for (const [shapes, tA, tB] of [
    [
      [
        [m, k],
        [k, n],
      ],
      false,
      false,
    ],
    [
      [
        [k, m],
        [n, k],
      ],
      true,
      true,
    ],
    [
      [
        [5, m, k],
        [5, k, n],
      ],
      false,
      false,
    ],
    [
      [
        [m, k],
        [5, n, k],
      ],
      false,
      true,
    ],
  ] as const) {
    const [a, b] = shapes.map(shape => random.for('large').normalTensor([...shape]));
    // The first one starts the threads.
    tf.matMul(a, b, tA, tB).dispose();
    await pause(200);
    const found = tf.matMul(a, b, tA, tB).dataSync<'float32'>();
    const matrices = tf.tidy(() => {
      const each = (x: Tensor): Tensor[] => (x.rank === 2 ? [x] : tf.unstack(x));
      const [left, right] = [each(a), each(b)];
      return Array.from({ length: Math.max(left.length, right.length) }, (_, at) => {
        const [x, y] = [left[at % left.length], right[at % right.length]];
        const parts = Array.from({ length: Math.ceil(m / 8) }, (_, i) => {
          const rows = Math.min(8, m - 8 * i);
          const part = tA ? x.slice([0, 8 * i], [k, rows]) : x.slice([8 * i, 0], [rows, k]);
          return Buffer.from(tf.matMul(part, y, tA, tB).dataSync<'float32'>().buffer);
        });
        return Buffer.concat(parts);
      });
    });
    expect(Buffer.concat(matrices).equals(Buffer.from(found.buffer))).toBe(true);
    tf.dispose([a, b]);
  }
});

test('products of what does not fit together are refused', () => {
  expect(() => tf.matMul(tf.zeros([2, 3]), tf.zeros([4, 5]))).toThrow(/3.*4/);
  expect(() => tf.matMul(tf.zeros([2, 2, 3]), tf.zeros([3, 3, 5]))).toThrow(/broadcast/);
});

test.each([
  ['exp', tf.exp, Math.exp],
  ['sigmoid', tf.sigmoid, (x: number) => 1 / (1 + Math.exp(-x))],
] as const)('%s is that of double precision, up to where float32 ends and beyond', (_, function32, function64) => {
  const numbers = [0, -0.3, 1, 40, 80.5, 88.7, -80, -87, -110, 90, Infinity, -Infinity, NaN];
  const found = (x: Float32Array): Float32Array => tf.tidy(() => function32(tf.tensor1d(x)).dataSync<'float32'>());
  for (let count = 1; count < 10; count++) {
    const x = Float32Array.from(numbers.slice(0, count));
    expect(found(x)).toBeAllClose(x.map(function64), { rtol: 1e-6, atol: 1e-37 });
  }
  const beyond = Float32Array.from(numbers.slice(9));
  expect([...found(beyond)].map(Math.fround)).toEqual([...beyond.map(function64)]);
});

test('erf is odd, and right to 2e-7', () => {
  const numbers = [0, 0.1, 0.5, 1, 2, 3, 10, Infinity];
  const expected = [0, 0.112462916, 0.520499878, 0.842700793, 0.995322265, 0.99997791, 1, 1];
  const [positive, negative] = tf.tidy(() => [1, -1].map(sign => tf.erf(tf.tensor1d(numbers).mul(sign)).dataSync()));
  expect(positive).toBeAllClose(expected, { atol: 2e-7 });
  expect(negative).toBeAllClose(
    expected.map(value => -value),
    { atol: 2e-7 },
  );
});

test.each([
  [[1], [5]],
  [
    [3, 1, 2],
    [2, 3, 1],
  ],
  [
    [2, 3],
    [1, 1],
  ],
  [
    [1, 2, 1],
    [4, 1, 7],
  ],
  [
    [40, 1],
    [1, 2],
  ],
  [
    [2, 5],
    [1, 11],
  ],
])('%j repeated %j times has every number in its places', (shape, reps) => {
  const x = random.for('tile').normalTensor(shape);
  const y = tf.tile(x, reps);
  const expected = shape.reduce<Tensor>((whole, _, axis) => tf.concat(Array<Tensor>(reps[axis]).fill(whole), axis), x);
  expect(y.shape).toEqual(expected.shape);
  expect([...y.dataSync()]).toEqual([...expected.dataSync()]);
  expect([...tf.tile(x.greater(0), reps).dataSync()]).toEqual([...expected.greater(0).dataSync()]);
});

test('a copy shares its numbers until a variable among them changes', () => {
  const source = random.for('source').normalTensor([7]);
  const v = variable(source);
  const before = tf.memory().numDataBuffers;
  const read = v.read();
  expect(tf.memory().numDataBuffers).toBe(before);
  const numbers = [...read.dataSync()];
  moveTowards([[v, tf.zeros([7])]], tf.scalar(1));
  expect([...read.dataSync()]).toEqual(numbers);
  expect([...v.read().dataSync()]).toEqual(Array(7).fill(0));
});

test('an update changes every number of tensors of any length, and squares add up', () => {
  for (let length = 1; length < 10; length++) {
    const x = Float32Array.from({ length }, (_, i) => i + 1);
    const [p, m, v] = [x, new Float32Array(length), new Float32Array(length)].map(each => variable(tf.tensor1d(each)));
    const [half, one] = [tf.scalar(0.5), tf.scalar(1)];
    const scalars = { beta1: half, beta2: half, size: one, epsilonHat: one, factor: tf.scalar(2), kept: half };
    applyAdam([{ p, m, v, gradient: tf.tensor1d(x) }], scalars);
    expect(m.read().dataSync()).toEqual(x);
    expect(v.read().dataSync()).toEqual(x.map(value => 2 * value ** 2));
    const moved = Array.from(x, value => value / 2 - value / (Math.SQRT2 * value + 1));
    expect(p.read().dataSync()).toBeAllClose(moved, { rtol: 1e-6, atol: 1e-6 });
    expect(sumOfSquares([tf.tensor1d(x)]).dataSync()[0]).toBe(x.reduce((sum, value) => sum + value ** 2, 0));
  }
});

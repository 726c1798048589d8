import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { startEngine, tf, type Tensor, type Tensor4D } from '../../src/engine/index.js';
const TENTH = Math.fround(0.1);
const tenths = (...shape: number[]): Tensor => tf.fill(shape, TENTH);

/** One float32 total is off by 2e-4 after 30 thousand tenths and by 1e-3 after 300 thousand. */
const COUNT = 300_000;
const CASES: [string, () => Tensor, number][] = [
  ['a mean', () => tenths(COUNT).mean(), TENTH],
  ['a sum', () => tenths(COUNT).sum(), COUNT * TENTH],
  ['a sum over the last axis', () => tenths(2, COUNT).sum(1), COUNT * TENTH],
  ['a sum over the first axis', () => tenths(COUNT, 2).sum(0), COUNT * TENTH],
  ['a mean over an axis between', () => tenths(2, COUNT / 2, 3).mean(1, true), TENTH],
  ['a mean over axes apart', () => tenths(2, COUNT / 4, 2, 2).mean([1, 3]), TENTH],
  ['a variance', () => tf.moments(tf.tile(tf.tensor1d([-0.9, 1.1]), [COUNT / 2])).variance, 1],
  ['a norm', () => tenths(COUNT).norm(), Math.sqrt(COUNT) * TENTH],
  ['a product', () => tf.matMul(tenths(2, COUNT), tenths(COUNT, 2)), COUNT * TENTH ** 2],
  ['a product of the first axes', () => tf.matMul(tenths(COUNT, 2), tenths(COUNT, 2), true), COUNT * TENTH ** 2],
  [
    'the gradient of a bias',
    () => tf.grad(bias => tenths(COUNT, 2).add(bias).mul(TENTH).sum())(tf.zeros([2])),
    COUNT * TENTH,
  ],
  [
    'a convolution with a large filter',
    () => tf.conv2d(tenths(1, 130, 130, 8) as never, tenths(128, 128, 8, 2) as never, 1, 'valid'),
    128 * 128 * 8 * TENTH ** 2,
  ],
];

const ENGINES = [
  ['the engine of this run', undefined, CASES],
  ['wasm', 'wasm', CASES],
  // Its sums are JavaScript's, in double precision; few, because it is slow.
  ['js', 'js', CASES.filter(([name]) => /product of|convolution/.test(name))],
] as const;

describe.each(ENGINES)('long sums keep their digits: %s', (_, engine, cases) => {
  beforeAll(async () => {
    await startEngine(engine);
  });

  test.each(cases)('%s', (_, compute, expected) => {
    const found = tf.tidy(() => compute().dataSync());
    expect(found).toBeAllClose(new Float64Array(found.length).fill(expected), { rtol: 3e-5 });
  });
});

test.each([
  [1, 1],
  [2, 1],
  [1, 2],
])('a convolution in parts is the whole one: stride %d, dilation %d', async (stride, dilation) => {
  await startEngine('wasm');
  const [n, c, rows, columns] = [2, 90, 11, 9];
  const image = tf.randomNormal([n, 30, 25, c], 0, 1, 'float32', 1);
  const filter = tf.randomNormal([rows, columns, c, 3], 0, 1, 'float32', 2);
  const convolved = (x: Tensor, kernel: Tensor): Tensor =>
    tf.conv2d(x as Tensor4D, kernel as Tensor4D, stride, 'valid', 'NHWC', dilation);
  const whole = convolved(image, filter);
  const parts = Array.from({ length: rows }, (_, row) => {
    const seen = tf.slice(image, [0, row * dilation, 0, 0], [n, (whole.shape[1]! - 1) * stride + 1, 25, c]);
    return convolved(seen, tf.slice(filter, [row, 0, 0, 0], [1, columns, c, 3]));
  });
  expect(whole.dataSync()).toBeAllClose(tf.addN(parts).dataSync(), { rtol: 1e-5 });
});

test('on WebAssembly sums over any axes are sums, and leave nothing behind', async () => {
  await startEngine('wasm');
  const shapes = fc.array(fc.integer({ min: 1, max: 23 }), { minLength: 1, maxLength: 4 });
  const cases = shapes.chain(shape => fc.tuple(fc.constant(shape), fc.subarray([...shape.keys()]), fc.boolean()));
  fc.assert(
    fc.property(cases, ([shape, axes, keepDims]) => {
      const x = tf.randomNormal(shape, 0, 1, 'float32', 3);
      const before = tf.memory().numDataBuffers;
      const [sum, mean] = [tf.sum(x, axes, keepDims), tf.mean(x, axes, keepDims)];
      const kept = shape.map((side, i) => (axes.includes(i) ? 1 : side));
      expect(sum.shape).toEqual(keepDims ? kept : shape.filter((_, i) => !axes.includes(i)));
      const expected = new Float64Array(tf.util.sizeFromShape(kept));
      const [strides, keptStrides] = [shape, kept].map(sides => [...tf.util.computeStrides(sides), 1]);
      x.dataSync().forEach((value, at) => {
        const index = shape.map((side, i) => (shape.length === 1 ? at : Math.floor(at / strides[i]) % side));
        expected[index.reduce((sum, j, i) => sum + (axes.includes(i) ? 0 : j * keptStrides[i]), 0)] += value;
      });
      const count = x.size / expected.length;
      expect(sum.dataSync()).toBeAllClose(expected, { atol: 1e-5 });
      expect(mean.dataSync()).toBeAllClose(
        expected.map(total => total / count),
        { atol: 1e-6 },
      );
      tf.dispose([sum, mean]);
      expect(tf.memory().numDataBuffers).toBe(before);
      x.dispose();
    }),
    { numRuns: 40 },
  );
});

import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { matMul, RandomStream, startEngine, tf, type Tensor } from '../../src/engine/index.js';
import type { MatMulOptions } from '../../src/engine/matmul.js';
import { configureEngine } from '../../src/engine/options.js';

let native = false;
beforeAll(async () => {
  native = ['native', 'gpu'].includes(await startEngine());
});
afterEach(() => configureEngine({}));

const random = new RandomStream(11);
const draw = (name: string, shape: number[]): Tensor => random.for(name).normalTensor(shape);

interface Case {
  a: number[];
  b: number[];
  options?: MatMulOptions;
}

const CASES: [string, Case][] = [
  ['two matrices', { a: [3, 4], b: [4, 2] }],
  ['both transposed', { a: [4, 3], b: [2, 4], options: { transposeA: true, transposeB: true } }],
  ['a transposed', { a: [4, 3], b: [4, 2], options: { transposeA: true } }],
  ['batches', { a: [2, 3, 4], b: [2, 4, 5] }],
  ['batches, b transposed', { a: [2, 2, 3, 4], b: [2, 2, 5, 4], options: { transposeB: true } }],
  ['a weight shared by a batch', { a: [2, 3, 4], b: [4, 5] }],
  ['a weight shared by two axes, transposed', { a: [2, 2, 3, 4], b: [5, 4], options: { transposeB: true } }],
  ['a shared left operand', { a: [3, 4], b: [2, 4, 5] }],
  ['a shared weight against a transposed batch', { a: [2, 4, 3], b: [4, 5], options: { transposeA: true } }],
  ['a leading axis of length one', { a: [1, 3, 4], b: [2, 4, 5] }],
];

/** Gradients of Σ (a·b) ∘ w by central differences; the product is linear in each operand, so a large step is exact. */
function differences(f: (a: Tensor, b: Tensor) => Tensor, a: Tensor, b: Tensor): [number[], number[]] {
  const along = (x: Tensor, at: (moved: Tensor) => Tensor): number[] =>
    Array.from({ length: x.size }, (_, i) => {
      const bump = tf.oneHot(tf.scalar(i, 'int32'), x.size).toFloat().reshape(x.shape);
      return (
        at(x.add(bump))
          .sub(at(x.sub(bump)))
          .dataSync()[0] / 2
      );
    });
  return [along(a, moved => f(moved, b)), along(b, moved => f(a, moved))];
}

describe('matMul', () => {
  test.each(CASES)('gradients agree with finite differences: %s', (_, { a: shapeA, b: shapeB, options }) => {
    tf.tidy(() => {
      const [a, b] = [draw('a', shapeA), draw('b', shapeB)];
      const weights = draw('w', matMul(a, b, options).shape);
      const loss = (x: Tensor, y: Tensor): Tensor => matMul(x, y, options).mul(weights).sum();
      const exact = tf.grads((x: Tensor, y: Tensor) => loss(x, y).asScalar())([a, b]);
      const [da, db] = differences(loss, a, b);
      expect(exact[0].dataSync()).toBeAllClose(da, { rtol: 1e-5 });
      expect(exact[1].dataSync()).toBeAllClose(db, { rtol: 1e-5 });
    });
  });

  test.each(CASES)('bf16 stays within its rounding of f32, forward and backward: %s', (_, { a, b, options }) => {
    tf.tidy(() => {
      const [x, y] = [draw('a', a), draw('b', b)];
      const loss = (p: Tensor, q: Tensor): Tensor => matMul(p, q, options).square().sum();
      const run = (): Tensor[] => [
        matMul(x, y, options),
        ...tf.grads((p: Tensor, q: Tensor) => loss(p, q).asScalar())([x, y]),
      ];
      const full = run();
      configureEngine({ precision: 'bf16' });
      run().forEach((half, i) => {
        expect(half.dtype).toBe('float32');
        // 8 bits of mantissa: half a unit is 2^-9, for each factor and once for the sum, forward and again backward.
        expect(half.dataSync()).toBeAllClose(full[i].dataSync(), { rtol: 2e-2 });
      });
    });
  });

  test('bf16 rounds on an engine that has it and is ignored elsewhere', () => {
    const one = tf.tensor2d([[1 + 2 ** -9]]);
    configureEngine({ precision: 'bf16' });
    expect(matMul(one, tf.tensor2d([[1]])).dataSync()[0]).toBe(native ? 1 : 1 + 2 ** -9);
  });

  test.each(['f32', 'bf16'] as const)('nothing but the result stays in memory (%s)', precision => {
    configureEngine({ precision });
    const [a, b] = [draw('a', [2, 3, 4]), draw('b', [4, 5])];
    const before = tf.memory().numTensors;
    const gradients = tf.tidy(() => tf.grads((x: Tensor, y: Tensor) => matMul(x, y).sum().asScalar())([a, b]));
    expect(tf.memory().numTensors - before).toBe(2);
    tf.dispose([...gradients, a, b]);
  });
});

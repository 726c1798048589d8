import { beforeAll, describe, expect, it } from '@jest/globals';
import { startEngine, tf, valueAndGradients, type Scalar, type Tensor } from '../../src/engine/index.js';
beforeAll(async () => {
  await startEngine();
});

/** A function with branches, sharing, broadcasting and an operation of two outputs. */
function f(x: Tensor, w: Tensor): Scalar {
  const h = tf.tanh(tf.matMul(x as never, w as never));
  const [a, b] = tf.split(h, 2, 1);
  return a.mul(b).add(h.mean()).add(a.square().mean(0, true)).sum();
}

const x = (): Tensor => tf.tensor2d([0.3, -0.2, 0.9, 0.4, -0.7, 0.1], [3, 2]);
const w = (): Tensor => tf.tensor2d([0.5, -0.4, 0.2, 0.8, 0.1, -0.6, 0.7, 0.3], [2, 4]);

describe('valueAndGradients', () => {
  it('agrees with TensorFlow.js’s own differentiation', () => {
    const [a, b] = [x(), w()];
    const { value, gradients } = valueAndGradients(() => f(a, b), [a, b]);
    const own = tf.valueAndGrads((a, b) => f(a, b))([a, b]);
    expect(value.dataSync()).toBeAllClose(own.value.dataSync());
    expect(gradients[0]!.dataSync()).toBeAllClose(own.grads[0].dataSync());
    expect(gradients[1]!.dataSync()).toBeAllClose(own.grads[1].dataSync());
  });

  it('gives no gradient where there is none, and seeds with dy', () => {
    const [a, unused] = [x(), w()];
    const { gradients } = valueAndGradients(() => a.square(), [a, unused], { dy: tf.fill([3, 2], 0.5) });
    expect(gradients[0]!.dataSync()).toBeAllClose(a.dataSync());
    expect(gradients[1]).toBeUndefined();
  });

  it('hands gradients out during the walk, each when it is final', () => {
    const [a, b] = [x(), w()];
    const { gradients } = valueAndGradients(() => f(a, b), [a, b]);
    const before = tf.memory().numTensors;
    const [first, second] = [tf.scalar(2), tf.scalar(3)];
    const taken: [index: number, values: number[]][] = [];
    const take = (index: number, gradient: Tensor): void => {
      taken.push([index, Array.from(gradient.dataSync())]);
      gradient.dispose();
    };
    const scaled = (): Scalar => f(a.mul(first), b).mul(second);
    const found = valueAndGradients(scaled, [a, b, first, second], { take });
    expect(found.gradients).toEqual([undefined, undefined, undefined, undefined]);
    expect(taken.map(([index]) => index)).toEqual([3, 1, 0, 2]);
    const whole = valueAndGradients(scaled, [a, b, first, second]).gradients;
    for (const [index, values] of taken) expect(values).toBeAllClose(whole[index]!.dataSync());
    tf.dispose([found.value, first, second, whole]);
    expect(tf.memory().numTensors - before).toBe(1); // the value of the last differentiation
    tf.dispose(gradients);
  });

  it('leaves nothing behind but its results, whatever the custom gradients hand back', () => {
    const passThrough = tf.customGrad((a, b, save) => {
      (save as unknown as (saved: Tensor[]) => void)([a as Tensor]);
      return { value: (a as Tensor).add(b as Tensor), gradFunc: (dy: Tensor) => [dy, dy] };
    });
    const saved = tf.customGrad((a, save) => {
      (save as (saved: Tensor[]) => void)([a as Tensor]);
      return { value: (a as Tensor).square().mul(0.5), gradFunc: (_: Tensor, kept: Tensor[]) => kept[0] };
    });
    const [a, b] = [x(), x()];
    const before = tf.memory().numTensors;
    const { value, gradients } = valueAndGradients(() => saved(passThrough(a, b)).sum<Scalar>(), [a, b]);
    expect(gradients[0]!.dataSync()).toBeAllClose(a.add(b).dataSync());
    expect(gradients[1]!.dataSync()).toBeAllClose(a.add(b).dataSync());
    tf.dispose([value, gradients]);
    expect(tf.memory().numTensors - before).toBe(2); // the two sums of the expectations
  });

  it('holds at its peak little more than the saved activations', () => {
    const layers = 20;
    const start = tf.ones([100, 100]);
    const size = 100 * 100 * 4;
    let peak = 0;
    const layer = tf.customGrad((a, save) => {
      (save as (saved: Tensor[]) => void)([a as Tensor]);
      return {
        value: (a as Tensor).mul(0.9),
        gradFunc: (dy: Tensor) => {
          peak = Math.max(peak, tf.memory().numBytes);
          return dy.mul(0.9);
        },
      };
    });
    const before = tf.memory().numBytes;
    const chain = (): Scalar => {
      let y: Tensor = start;
      for (let i = 0; i < layers; i++) y = tf.tidy(() => layer(y));
      return y.sum();
    };
    tf.dispose(valueAndGradients(chain, [start]) as never);
    // A saved activation is a second handle on the layer's input; TensorFlow.js counts both.
    expect(peak - before).toBeLessThan((layers + 4) * size);
  });

  it('can be used within a function under differentiation and within a custom gradient', () => {
    const inner = (a: Tensor): Tensor => valueAndGradients(() => a.square().sum(), [a]).gradients[0]!;
    const recomputed = tf.customGrad((a, save) => {
      (save as (saved: Tensor[]) => void)([a as Tensor]);
      return { value: (a as Tensor).square(), gradFunc: (dy: Tensor, [s]: Tensor[]) => inner(s).mul(dy) };
    });
    const a = x();
    const { gradients } = valueAndGradients(() => inner(a).square().add(recomputed(a)).sum<Scalar>(), [a]);
    expect(gradients[0]!.dataSync()).toBeAllClose(a.mul(10).dataSync());
  });
});

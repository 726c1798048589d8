import { beforeAll, describe, expect, it } from '@jest/globals';
import { startEngine, tf, type Tensor } from '../../src/engine/index.js';
import { adamw, movingAverage, type Optimizer, type Params } from '../../src/nn/index.js';
import type { AdamOptions } from '../../src/nn/optimizers.js';

beforeAll(async () => {
  await startEngine();
});

const options: AdamOptions = { betas: [0.9, 0.99], eps: 1e-3, weightDecay: 0.3 };
const weights = (): Params => ({ weight: tf.tensor2d([[1, -2]]), bias: tf.tensor1d([0.5]) });
const numbers = (params: Params): Record<string, number[]> =>
  Object.fromEntries(Object.entries(params).map(([name, tensor]) => [name, [...tensor.dataSync()]]));
const now = (optimizer: Optimizer): Record<string, number[]> => tf.tidy(() => numbers(optimizer.read()));

/** One step with the gradient 2 p of Σ p². */
function step(optimizer: Optimizer, scalars: { factor?: Tensor; gate?: Tensor } = {}): void {
  tf.tidy(() => {
    const gradients = Object.fromEntries(Object.entries(optimizer.read()).map(([name, p]) => [name, p.mul(2)]));
    optimizer.step(gradients, { lr: 0.1, ...scalars });
  });
}

/** Three such steps in double precision, as the paper's algorithm 2 writes them. */
function reference(p: number, decay: number): number {
  let [m, v] = [0, 0];
  for (let t = 1; t <= 3; t++) {
    const g = 2 * p;
    m = 0.9 * m + 0.1 * g;
    v = 0.99 * v + 0.01 * g * g;
    p -= 0.1 * decay * p + (0.1 * (m / (1 - 0.9 ** t))) / (Math.sqrt(v / (1 - 0.99 ** t)) + 1e-3);
  }
  return p;
}

describe('AdamW', () => {
  it('follows algorithm 2 of the paper, with decay on matrices only', () => {
    const optimizer = adamw(weights(), options);
    for (let i = 0; i < 3; i++) step(optimizer);
    expect(now(optimizer).weight).toBeAllClose([reference(1, 0.3), reference(-2, 0.3)], { rtol: 1e-6 });
    expect(now(optimizer).bias).toBeAllClose([reference(0.5, 0)], { rtol: 1e-6 });
  });

  it('does not change weights without a gradient', () => {
    const optimizer = adamw(weights(), options);
    optimizer.step({ bias: tf.tensor1d([1]) }, { lr: 0.1 });
    expect(now(optimizer).weight).toEqual([1, -2]);
    expect(now(optimizer).bias).not.toEqual([0.5]);
  });

  it('multiplies gradients by a factor', () => {
    const [scaled, plain] = [adamw(weights(), options), adamw(weights(), options)];
    scaled.step({ bias: tf.tensor1d([4]) }, { lr: 0.1, factor: tf.scalar(0.25) });
    plain.step({ bias: tf.tensor1d([1]) }, { lr: 0.1 });
    expect(now(scaled)).toEqual(now(plain));
  });

  it('changes nothing at all where the gate is 0, whatever the gradients', () => {
    const [optimizer, untouched] = [adamw(weights(), options), adamw(weights(), options)];
    for (const when of [0, 1, 2, 3]) {
      if (when !== 0) [optimizer, untouched].forEach(each => step(each));
      optimizer.step({ bias: tf.tensor1d([NaN]) }, { lr: 0.1, factor: tf.scalar(0), gate: tf.scalar(0) });
      expect(now(optimizer)).toEqual(now(untouched));
      expect(tf.tidy(() => numbers(optimizer.state()))).toEqual(tf.tidy(() => numbers(untouched.state())));
    }
  });

  it('resumes bit for bit from its state', () => {
    const first = adamw(weights(), options);
    step(first);
    const second = adamw(weights(), options);
    second.restore(first.read(), first.state());
    [first, second].forEach(each => step(each));
    expect(now(second)).toEqual(now(first));
  });

  it('keeps copies of its own and leaves nothing behind', () => {
    const initial = weights();
    const before = tf.memory().numTensors;
    const optimizer = adamw(initial, options);
    const held = tf.memory().numTensors;
    for (let i = 0; i < 3; i++) step(optimizer);
    expect(tf.memory().numTensors).toBe(held);
    optimizer.dispose();
    expect(tf.memory().numTensors).toBe(before);
    expect(numbers(initial).weight).toEqual([1, -2]);
  });
});

describe('a moving average', () => {
  it('is decay · a + (1 − decay) · p from the first weights on', () => {
    const average = movingAverage({ w: tf.tensor1d([1]) }, 0.9);
    average.update({ w: tf.tensor1d([2]) });
    average.update({ w: tf.tensor1d([4]) });
    expect(numbers(average.read()).w).toBeAllClose([0.9 * (0.9 * 1 + 0.1 * 2) + 0.1 * 4], { rtol: 1e-6 });
  });

  it('does not move where the gate is 0', () => {
    const average = movingAverage({ w: tf.tensor1d([1]) }, 0.9);
    average.update({ w: tf.tensor1d([2]) }, tf.scalar(0));
    expect(numbers(average.read()).w).toEqual([1]);
  });
});

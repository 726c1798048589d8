import { beforeAll, describe, expect, it } from '@jest/globals';
import {
  applyAdam,
  applyMomentum,
  moveTowards,
  startEngine,
  sumOfSquares,
  tf,
  variable,
  type Variable,
} from '../../src/engine/index.js';

beforeAll(async () => {
  await startEngine();
});

const of = (v: Variable): number[] => tf.tidy(() => [...v.read().dataSync()]);

describe('a variable', () => {
  it('holds a copy: neither the tensor nor the array it came from changes with it', () => {
    const array = new Float32Array([1, 2]);
    const initial = tf.tensor1d(array);
    const v = variable(initial);
    moveTowards([[v, tf.tensor1d([3, 6])]], tf.scalar(0.5));
    expect([...of(v)]).toEqual([2, 4]);
    expect([...initial.dataSync()]).toEqual([1, 2]);
    expect([...array]).toEqual([1, 2]);
  });

  it('changes after a read do not reach what was read', () => {
    const v = variable(tf.tensor1d([1, 2]));
    const read = v.read();
    moveTowards([[v, tf.zeros([2])]], tf.scalar(1));
    expect([...read.dataSync()]).toEqual([1, 2]);
    v.assign(tf.tensor1d([7, 8]));
    expect([...of(v)]).toEqual([7, 8]);
  });

  it('leaves no tensors behind', () => {
    const before = tf.memory().numTensors;
    const v = variable(tf.tidy(() => tf.zeros([3])));
    for (let i = 0; i < 3; i++)
      tf.tidy(() => {
        moveTowards([[v, tf.ones([3])]], tf.scalar(0.5));
        v.assign(v.read().mul(2));
      });
    v.dispose();
    expect(tf.memory().numTensors - before).toBe(1); // the initial value, which is its owner's
  });
});

describe('applyAdam', () => {
  it('follows the paper’s update in its efficient order', () => {
    const [p, m, v] = [
      [1, -2],
      [0.1, 0.2],
      [0.3, 0.4],
    ].map(x => variable(tf.tensor1d(x)));
    const g = [0.5, -0.7];
    const [beta1, beta2, lr, eps, t] = [0.9, 0.95, 0.01, 1e-3, 3];
    applyAdam([{ p, m, v, gradient: tf.tensor1d(g) }], {
      beta1: tf.scalar(beta1),
      beta2: tf.scalar(beta2),
      size: tf.scalar((lr * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t)),
      epsilonHat: tf.scalar(eps * Math.sqrt(1 - beta2 ** t)),
      factor: tf.scalar(1),
      kept: tf.scalar(1),
    });
    const m1 = [0.1, 0.2].map((x, i) => beta1 * x + (1 - beta1) * g[i]);
    const v1 = [0.3, 0.4].map((x, i) => beta2 * x + (1 - beta2) * g[i] ** 2);
    expect(of(m)).toBeAllClose(m1);
    expect(of(v)).toBeAllClose(v1);
    const step = (i: number): number => (lr * (m1[i] / (1 - beta1 ** t))) / (Math.sqrt(v1[i] / (1 - beta2 ** t)) + eps);
    expect(of(p)).toBeAllClose([1 - step(0), -2 - step(1)]);
  });

  it('takes decay from the parameters themselves, and nothing at all from gradients by a factor of 0', () => {
    const [p, m, v] = [
      [1, -2],
      [0, 0],
      [0, 0],
    ].map(x => variable(tf.tensor1d(x)));
    const [one, none] = [tf.scalar(1), tf.scalar(0)];
    const scalars = { beta1: one, beta2: one, size: none, epsilonHat: one, factor: none, kept: tf.scalar(0.5) };
    applyAdam([{ p, m, v, gradient: tf.tensor1d([NaN, Infinity]) }], scalars);
    expect([of(p), of(m), of(v)]).toEqual([
      [0.5, -1],
      [0, 0],
      [0, 0],
    ]);
  });
});

describe('applyMomentum', () => {
  it('gives each column its own rate and its own scale, and keeps a share of the velocity', () => {
    const [p, v] = [
      [1, 2, 3, 4, 5, 6],
      [10, 20, 30, 40, 50, 60],
    ].map(x => variable(tf.tensor2d(x, [2, 3])));
    const gradient = tf.tensor2d([1, 1, 1, 2, 2, 2], [2, 3]);
    applyMomentum([{ p, v, gradient, scale: tf.tensor1d([1, 0, 3]) }], tf.tensor1d([1, 0.5, 0]), 0.5);
    expect(of(v)).toEqual([6, 10, 18, 22, 25, 36]);
    expect(of(p)).toEqual([-5, -3, 3, -18, -7.5, 6]);
  });

  it('without a scale takes gradients as they are', () => {
    const [p, v] = [
      [1, 2],
      [0, 1],
    ].map(x => variable(tf.tensor1d(x)));
    applyMomentum([{ p, v, gradient: tf.tensor1d([4, 4]) }], tf.tensor1d([0.5, 0.25]), 1);
    expect(of(v)).toEqual([4, 5]);
    expect(of(p)).toEqual([-1, 0.75]);
  });
});

describe('sumOfSquares', () => {
  it('sums over every axis of every tensor and passes on what is not finite', () => {
    expect(
      sumOfSquares([
        tf.tensor2d([
          [1, 2],
          [3, -4],
        ]),
        tf.tensor1d([2]),
      ]).dataSync()[0],
    ).toBe(34);
    expect(sumOfSquares([tf.tensor1d([1, NaN])]).dataSync()[0]).toBeNaN();
  });
});

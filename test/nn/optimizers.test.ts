import { beforeAll, describe, expect, it } from '@jest/globals';
import { startEngine, tf } from '../../src/engine/index.js';
import { adam, adamw, type Params } from '../../src/nn/index.js';

beforeAll(async () => {
  await startEngine();
});

/** Three updates with gradient 2 p. */
function train(optimizer: ReturnType<typeof adamw>): Params {
  let params: Params = { weight: tf.tensor2d([[1, -2]]), bias: tf.tensor1d([0.5]) };
  let state = optimizer.init(params);
  for (let step = 1; step <= 3; step++) {
    const grads = { weight: params.weight.mul(2), bias: params.bias.mul(2) };
    ({ params, state } = optimizer.update(params, grads, state, { step, lr: 0.1 }));
  }
  return params;
}

/** The same in double precision, as the paper's algorithm 2 writes it. */
function reference(p: number, decay: number): number {
  let [m, v] = [0, 0];
  for (let step = 1; step <= 3; step++) {
    const g = 2 * p;
    m = 0.9 * m + 0.1 * g;
    v = 0.99 * v + 0.01 * g * g;
    p -= 0.1 * decay * p + (0.1 * (m / (1 - 0.9 ** step))) / (Math.sqrt(v / (1 - 0.99 ** step)) + 1e-3);
  }
  return p;
}

describe('AdamW', () => {
  const options = { betas: [0.9, 0.99] as [number, number], eps: 1e-3, weightDecay: 0.3 };

  it('follows algorithm 2 of the paper, with decay on matrices alone', () => {
    const params = train(adamw(options));
    expect(params.weight.dataSync()).toBeAllClose([reference(1, 0.3), reference(-2, 0.3)], { rtol: 1e-5 });
    expect(params.bias.dataSync()).toBeAllClose([reference(0.5, 0)], { rtol: 1e-5 });
  });

  it('is Adam without decay', () => {
    const plain = train(adamw({ ...options, weightDecay: 0 }));
    expect(train(adam({ ...options, weightDecay: 0 })).weight.dataSync()).toBeAllClose(plain.weight.dataSync());
  });

  it('hands back what has no gradient', () => {
    const optimizer = adamw();
    const params = { frozen: tf.tensor1d([1]) };
    const state = optimizer.init(params);
    expect(optimizer.update(params, {}, state, { step: 1, lr: 1 }).params.frozen).toBe(params.frozen);
  });
});

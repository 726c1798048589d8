import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomStream, startEngine, tf, type Tensor } from '../../src/engine/index.js';
import { conv2d, groupNorm, pixelShuffle, pixelUnshuffle, upsample2x, type ConvOptions } from '../../src/nn/index.js';
import { gradientError } from '../helpers/finite-differences.js';

const random = new RandomStream(0);
const draw = (name: string, ...shape: number[]): Tensor => random.for(name).normalTensor(shape);

beforeAll(async () => {
  await startEngine();
});

describe('convolution', () => {
  const cases: [string, number, ConvOptions][] = [
    ['kernel 3, same', 3, {}],
    ['kernel 3, stride 2, same', 3, { stride: 2 }],
    ['kernel 3, stride 2, padding 1', 3, { stride: 2, padding: 1 }],
    ['kernel 3, stride 2, padding on two sides', 3, { stride: 2, padding: [0, 1, 0, 1] }],
    ['kernel 4, stride 2, padding 1', 4, { stride: 2, padding: 1 }],
    ['kernel 4, stride 1, padding 1', 4, { padding: 1 }],
    ['kernel 1', 1, {}],
    ['kernel 1, stride 2', 1, { stride: 2, padding: 0 }],
    ['kernel 3, stride 3, no padding', 3, { stride: 3, padding: 0 }],
    ['kernel 2, stride 3, no padding', 2, { stride: 3, padding: 0 }],
  ];

  it.each(cases)('%s: gradients agree with finite differences', (_, kernel, options) => {
    tf.tidy(() => {
      const inputs = [draw('x', 2, 7, 9, 3), draw('w', 4, 3, kernel, kernel), draw('b', 4)];
      const f = (x: Tensor, weight: Tensor, bias: Tensor): Tensor => conv2d({ weight, bias }, x, options);
      expect(gradientError(f, inputs, { step: 0.1 })).toBeLessThan(1e-3);
    });
  });

  it('equals the sum over the neighbourhood', () => {
    tf.tidy(() => {
      const x = draw('x', 1, 4, 5, 2);
      const weight = draw('w', 3, 2, 3, 3);
      const y = conv2d({ weight }, x, { stride: 2, padding: [0, 1, 0, 1] });
      const [image, filters] = [x.arraySync() as number[][][][], weight.arraySync() as number[][][][]];
      let expected = 0;
      for (let c = 0; c < 2; c++)
        for (let i = 0; i < 3; i++)
          for (let j = 0; j < 3; j++) expected += filters[1][c][i][j] * (image[0][i]?.[2 + j]?.[c] ?? 0);
      expect(y.shape).toEqual([1, 2, 2, 3]);
      expect(y.arraySync()[0][0][1][1]).toBeCloseTo(expected, 4);
    });
  });
});

describe('resampling', () => {
  it('nearest upsampling repeats pixels, and its gradient sums them', () => {
    tf.tidy(() => {
      const x = draw('x', 2, 3, 4, 2);
      const y = upsample2x(x).arraySync();
      expect(y[1][5][6][1]).toBe((x.arraySync() as number[][][][])[1][2][3][1]);
      expect(gradientError(upsample2x, [x], { step: 0.1 })).toBeLessThan(1e-3);
    });
  });

  it('pixel shuffle and unshuffle undo each other', () => {
    tf.tidy(() => {
      const x = draw('x', 2, 4, 6, 3);
      expect(pixelShuffle(pixelUnshuffle(x, 2), 2).dataSync()).toBeAllClose(x.dataSync(), { rtol: 0 });
    });
  });
});

it('group normalisation gives zero mean and unit variance per group', () => {
  tf.tidy(() => {
    const x = draw('x', 2, 5, 5, 6).mul(3).add(2);
    const y = groupNorm({ weight: tf.ones([6]), bias: tf.zeros([6]) }, x, 2, 1e-6);
    const { mean, variance } = tf.moments(y.reshape([2, 25, 2, 3]), [1, 3]);
    expect(mean.dataSync()).toBeAllClose(new Float32Array(4), { atol: 1e-5 });
    expect(variance.dataSync()).toBeAllClose(new Float32Array(4).fill(1), { rtol: 1e-4 });
  });
});

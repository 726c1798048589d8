import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomStream, startEngine, tf, type Tensor } from '../../src/engine/index.js';
import {
  attention,
  geluTanh,
  layerNorm,
  linear,
  mlp,
  padRotation,
  patchify,
  patchWeight,
  rmsNorm,
  rotation,
  gatedResidual,
  silu,
  swiGlu,
  unpatchify,
  type Params,
} from '../../src/nn/index.js';
import { gelu } from '../../src/nn/activations.js';
import { rotate } from '../../src/nn/rotary.js';
import { gradientError } from '../helpers/finite-differences.js';

const random = new RandomStream(0);
const draw = (name: string, ...shape: number[]): Tensor => random.for(name).normalTensor(shape);

beforeAll(async () => {
  await startEngine();
});

describe('gradients agree with finite differences', () => {
  const x = (): Tensor => draw('x', 2, 5, 8);
  const cases: [string, (...inputs: Tensor[]) => Tensor, () => Tensor[]][] = [
    ['gelu', gelu, () => [x()]],
    ['geluTanh', geluTanh, () => [x()]],
    ['silu', silu, () => [x()]],
    ['linear', (a, weight, bias) => linear({ weight, bias }, a), () => [x(), draw('w', 3, 8), draw('b', 3)]],
    ['bare layerNorm', a => layerNorm(undefined, a), () => [x()]],
    ['layerNorm', (a, weight, bias) => layerNorm({ weight, bias }, a), () => [x(), draw('w', 8), draw('b', 8)]],
    ['rmsNorm', (a, weight) => rmsNorm({ weight }, a), () => [x(), draw('w', 8)]],
    [
      'attention',
      (a, qkv, proj) => attention({ 'qkv.weight': qkv, 'proj.weight': proj }, a, { heads: 2 }),
      () => [x(), draw('qkv', 24, 8).mul(0.3), draw('proj', 8, 8)],
    ],
    [
      'attention with normalised queries and keys',
      (a, qkv, proj, q) =>
        attention({ 'qkv.weight': qkv, 'proj.weight': proj, 'q_norm.weight': q, 'k_norm.weight': q }, a, {
          heads: 2,
          qkNorm: { kind: 'rms', eps: 1e-6 },
        }),
      () => [x(), draw('qkv', 24, 8).mul(0.3), draw('proj', 8, 8), draw('q', 4)],
    ],
    [
      'attention with learned rotary positions',
      (a, qkv, proj, angles) =>
        attention({ 'qkv.weight': qkv, 'proj.weight': proj }, a, {
          heads: 2,
          rotation: padRotation(rotation(angles), 1, 0),
        }),
      () => [x(), draw('qkv', 24, 8).mul(0.3), draw('proj', 8, 8), draw('angles', 2, 4, 2)],
    ],
    [
      'rotation by angles that heads share',
      (a, angles) => rotate(rotation(angles), a),
      () => [draw('q', 2, 3, 5, 4), draw('angles', 1, 5, 2)],
    ],
    ['gatedResidual', (a, b, scale) => gatedResidual(a, b, scale), () => [x(), draw('y', 2, 5, 8), draw('scale', 8)]],
    [
      'mlp',
      (a, first, second) => mlp({ 'fc1.weight': first, 'fc2.weight': second }, a),
      () => [x(), draw('w', 16, 8).mul(0.3), draw('v', 8, 16)],
    ],
    [
      'swiGlu',
      (a, first, second) => swiGlu({ 'w12.weight': first, 'w3.weight': second }, a),
      () => [x(), draw('w', 12, 8).mul(0.3), draw('v', 8, 6)],
    ],
  ];
  it.each(cases)('%s', (_, f, inputs) => {
    tf.tidy(() => expect(gradientError(f, inputs())).toBeLessThan(5e-3));
  });
});

describe('layers', () => {
  it('exact GELU gives the published values', () => {
    // torch.nn.functional.gelu of these inputs.
    expect(gelu(tf.tensor1d([-2, -0.5, 0, 1, 3])).dataSync()).toBeAllClose(
      [-0.04550026, -0.15426877, 0, 0.8413447, 2.9959502],
      { rtol: 1e-6 },
    );
  });

  it('layer normalisation gives zero mean and unit variance', () => {
    const y = layerNorm(undefined, draw('x', 4, 6, 32).mul(3).add(7));
    const { mean, variance } = tf.moments(y, -1);
    expect(mean.dataSync()).toBeAllClose(new Float32Array(24), { atol: 1e-5 });
    expect(variance.dataSync()).toBeAllClose(new Float32Array(24).fill(1), { rtol: 1e-4 });
  });

  it('patchify and unpatchify undo each other', () => {
    const images = draw('images', 2, 8, 12, 3);
    expect(unpatchify(patchify(images, 4), 4, 2, 3).dataSync()).toBeAllClose(images.dataSync(), { rtol: 0 });
  });

  it('patch embedding by a product equals the convolution', () => {
    const images = draw('images', 2, 8, 12, 3);
    const weight = draw('w', 5, 3, 4, 4);
    const product = linear({ weight: patchWeight(weight) }, patchify(images, 4));
    const kernel = tf.transpose(weight, [2, 3, 1, 0]);
    const convolved = tf.conv2d(images as never, kernel as never, 4, 'valid') as Tensor;
    expect(product.dataSync()).toBeAllClose(convolved.dataSync(), { rtol: 1e-5 });
  });

  it('attention to equal keys is the mean of the values', () => {
    const c = 4;
    const weight = tf.concat([tf.zeros([2 * c, c]), tf.eye(c)]);
    const params: Params = { 'qkv.weight': weight, 'proj.weight': tf.eye(c) };
    const x = draw('x', 1, 3, c);
    const expected = tf.tile(x.mean(1, true), [1, 3, 1]);
    expect(attention(params, x, { heads: 2 }).dataSync()).toBeAllClose(expected.dataSync(), { rtol: 1e-5 });
  });
});

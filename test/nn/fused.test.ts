import { beforeAll, describe, expect, test } from '@jest/globals';
import { hasKernels, RandomStream, startEngine, tf, valueAndGradients, type Tensor } from '../../src/engine/index.js';
import { withoutKernels } from '../../src/engine/compiled.js';
import { configureEngine } from '../../src/engine/options.js';
import {
  attention,
  conv2d,
  gatedResidual,
  geluTanh,
  groupNorm,
  lastModulatedNorm,
  layerNorm,
  linear,
  mlp,
  modulatedNorm,
  padRotation,
  rmsNorm,
  rotation,
  roundedOnce,
  silu,
  under,
  type Params,
} from '../../src/nn/index.js';
import { gelu } from '../../src/nn/activations.js';

/* The kernels of native/ against the same layers composed of TensorFlow's operations; large enough for several threads. */

const random = new RandomStream(1);
const draw = (name: string, ...shape: number[]): Tensor => random.for(name).normalTensor(shape);
const [n, t, c] = [3, 130, 96];
const x = (): Tensor => draw('x', n, t, c);

const qkv = (): Tensor[] => [
  draw('qkv', 3 * c, c).mul(0.1),
  draw('qkv.bias', 3 * c),
  draw('proj', c, c).mul(0.1),
  draw('proj.bias', c),
];
const attend =
  (heads: number, rotated?: (angles: Tensor) => ReturnType<typeof rotation>) =>
  (a: Tensor, ...[w, b, wOut, bOut, angles]: Tensor[]): Tensor =>
    attention({ 'qkv.weight': w, 'qkv.bias': b, 'proj.weight': wOut, 'proj.bias': bOut }, a, {
      heads,
      rotation: rotated?.(angles),
    });

const LAYERS: [string, (...inputs: Tensor[]) => Tensor, () => Tensor[]][] = [
  ['linear', (a, weight, bias) => linear({ weight, bias }, a), () => [x(), draw('w', 64, c), draw('b', 64)]],
  ['gelu', gelu, () => [x().mul(3)]],
  ['geluTanh', geluTanh, () => [x().mul(3)]],
  ['silu', silu, () => [x().mul(3)]],
  ['layerNorm', (a, weight, bias) => layerNorm({ weight, bias }, a), () => [x(), draw('w', c), draw('b', c)]],
  ['layerNorm without weights', a => layerNorm(undefined, a), () => [x().add(5)]],
  [
    'modulatedNorm',
    (a, scale, shift) => modulatedNorm(a, scale, shift),
    () => [x(), draw('scale', n, 1, c), draw('shift', n, 1, c)],
  ],
  [
    'lastModulatedNorm',
    (a, scale, shift) => lastModulatedNorm(a, scale, shift),
    () => [x(), draw('scales', n, 30, c), draw('shifts', n, 30, c)],
  ],
  ['gatedResidual by channel', gatedResidual, () => [x(), draw('y', n, t, c), draw('gate', c)]],
  ['gatedResidual by image', gatedResidual, () => [x(), draw('y', n, t, c), draw('gates', n, 1, c)]],
  [
    'mlp',
    (a, w1, b1, w2, b2) => mlp({ 'fc1.weight': w1, 'fc1.bias': b1, 'fc2.weight': w2, 'fc2.bias': b2 }, a),
    () => [x(), draw('w1', 200, c).mul(0.1), draw('b1', 200), draw('w2', c, 200).mul(0.1), draw('b2', c)],
  ],
  ['attention', attend(4), () => [x(), ...qkv()]],
  [
    'attention rotated by angles of each head',
    attend(4, angles => padRotation(rotation(angles), 1, 1)),
    () => [x(), ...qkv(), draw('angles', 4, t - 2, c / 8)],
  ],
  [
    'attention rotated by shared angles',
    attend(4, angles => rotation(angles)),
    () => [x(), ...qkv(), draw('shared', 1, t, c / 8)],
  ],
];

const image = (): Tensor => draw('image', 2, 13, 10, c);
LAYERS.push(
  [
    'groupNorm with SiLU',
    (a, weight, bias) => groupNorm({ weight, bias }, a, 8, 1e-6, 'silu'),
    () => [image().add(20), draw('w', c), draw('b', c)],
  ],
  [
    'groupNorm',
    (a, weight, bias) => groupNorm({ weight, bias }, a, 8, 1e-6),
    () => [image(), draw('w', c), draw('b', c)],
  ],
  ['rmsNorm', (a, weight) => rmsNorm({ weight }, a), () => [x(), draw('w', c)]],
  ['rmsNorm with SiLU', (a, weight) => rmsNorm({ weight }, a, 1e-6, 'silu'), () => [x(), draw('w', c)]],
  [
    '3 × 3 convolution of tiles that are cut short',
    (a, weight, bias) => conv2d({ weight, bias }, a, { padding: [0, 1, 2, 0] }),
    () => [image(), draw('filters', c, c, 3, 3).mul(0.03), draw('b', c)],
  ],
);

let available: boolean;
beforeAll(async () => {
  await startEngine();
  available = hasKernels();
  if (!available) process.stderr.write('this engine has no kernels: they are not compared\n');
});

/** The value and every gradient of ⟨dy, f⟩, as arrays. */
function everything(f: (...inputs: Tensor[]) => Tensor, inputs: Tensor[]): Float32Array[] {
  const dy = tf.tidy(() => draw('dy', ...f(...inputs).shape));
  const { value, gradients } = valueAndGradients(() => f(...inputs), inputs, { dy });
  return [value, ...gradients].map(tensor => tensor!.dataSync() as Float32Array);
}

/** Root mean square of the difference over that of b. */
function difference(a: Float32Array, b: Float32Array): number {
  const squares = (values: ArrayLike<number>): number =>
    Array.from(values).reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(squares(a.map((value, i) => value - b[i])) / squares(b));
}

describe.each([
  ['f32', 3e-6],
  // Processors without bfloat16 products of their own round more often.
  ['bf16', 3e-2],
] as const)('kernels in %s agree with composed layers in f32', (precision, tolerance) => {
  test.each(LAYERS)('%s', async (_, f, make) => {
    if (!available) return;
    const inputs = make();
    const composed = await withoutKernels(() => Promise.resolve(everything(f, inputs)));
    configureEngine({ precision });
    const fused = everything(f, inputs);
    const withoutGradient = f(...inputs).dataSync() as Float32Array;
    configureEngine({ precision: 'f32' });
    for (const [i, values] of fused.entries()) expect(difference(values, composed[i])).toBeLessThan(tolerance);
    expect(difference(withoutGradient, composed[0])).toBeLessThan(tolerance);
  });
});

test('what is no number in one image does not reach the others through attention', () => {
  const [a, ...weights] = [x(), ...qkv()];
  const hole = tf.concat([tf.fill([1, 1, c], NaN), tf.ones([1, t - 1, c])], 1);
  const marred = a.mul(tf.concat([hole, tf.ones([n - 1, t, c])]));
  const [whole, part] = [a, marred].map(input => attend(4)(input, ...weights));
  expect([...part.slice(0, 1).isNaN().all().dataSync()]).toEqual([1]);
  expect(part.slice(1).dataSync()).toEqual(whole.slice(1).dataSync());
});

test('a 3 × 3 convolution of more tiles than the kernels take at a time is the composed one', async () => {
  if (!available) return;
  const a = tf.tile(draw('tile', 1, 13, 10, c), [1, 8, 8, 1]);
  const weight = draw('filters', c, c, 3, 3).mul(0.03);
  const composed = await withoutKernels(() => Promise.resolve(conv2d({ weight }, a)));
  expect(composed.sub(conv2d({ weight }, a)).abs().max().dataSync()[0]).toBeLessThan(1e-4);
});

test('weights that are rounded once give what weights rounded at every use give, in either precision', () => {
  for (const precision of ['f32', 'bf16'] as const) {
    configureEngine({ precision });
    const [a, ...weights] = [x(), ...qkv()];
    const names = ['qkv.weight', 'qkv.bias', 'proj.weight', 'proj.bias'];
    const params = Object.fromEntries(names.map((name, i) => [`attn.${name}`, weights[i]]));
    const attended = (of: Params): Float32Array =>
      attention(under(of, 'attn'), a, { heads: 4 }).dataSync() as Float32Array;
    // It takes over what it is given.
    const handed = Object.fromEntries(Object.entries(params).map(([name, weight]) => [name, weight.clone()]));
    expect(attended(roundedOnce(handed))).toEqual(attended(params));
    configureEngine({ precision: 'f32' });
  }
});

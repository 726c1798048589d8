import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import {
  initialise,
  isTable,
  MODELS,
  networkConfig,
  OWN_OBJECTIVE,
  trainingLoss,
  type Recipe,
} from '../../src/diffusion/index.js';
import { einsum, RandomStream, startEngine, tf, valueAndGradients, type Tensor } from '../../src/engine/index.js';
import { writeNpz, writeSafetensors } from '../../src/io/index.js';
import { arrayRows } from '../../src/rows/index.js';
import { arraysFrom, unit } from '../../src/nn/index.js';
import { featureMatrix, unscaled } from '../../src/probe/index.js';
import { attentiveScores } from '../../src/probe/attentive.js';
import { plantedMixture, trainDenoiser } from '../../src/synth/index.js';
import { maetok } from '../helpers/cli.js';
import { gradientError } from '../helpers/finite-differences.js';
import { tempFolder } from '../helpers/temp.js';
import { tinyDino } from '../helpers/tiny-dino.js';

/*
 * Every gradient of TensorFlow.js that something trained here walks through is held against finite differences; what is
 * trained tells which those are. Gradients of our own are held in test/nn.
 */

const random = new RandomStream(5);
const numbers = new RandomNumbers(5);
const used = new Set<string>();

beforeAll(async () => {
  await startEngine();
  recordGradients();
});

/** Every gradient of TensorFlow.js tells when it is asked. */
function recordGradients(): void {
  const kernels = new Set(Object.values(tf).filter(value => typeof value === 'string'));
  for (const kernelName of kernels) {
    const config = tf.getGradient(kernelName) as ReturnType<typeof tf.getGradient> | undefined;
    if (!config) continue;
    tf.unregisterGradient(kernelName);
    tf.registerGradient({
      ...config,
      gradFunc: (...given) => {
        used.add(kernelName);
        return config.gradFunc(...given);
      },
    });
  }
}

type F = (...inputs: Tensor[]) => Tensor;
/** Inputs are normal numbers of a shape, or drawn by a function. */
type Case = [f: F, ...inputs: (number[] | (() => Tensor))[]];
const positive =
  (...shape: number[]) =>
  (): Tensor =>
    random.for('positive').normalTensor(shape).abs().add(0.3);
/** Numbers a tenth apart, none nearer to 0 than finite differences step. */
const apart =
  (shape: number[], offset = 0) =>
  (): Tensor => {
    const size = tf.util.sizeFromShape(shape);
    const order = random.for(`order ${size}`).permutation(size);
    return tf.tensor(
      Float32Array.from(order, at => (at - Math.floor(size / 2)) * 0.1 + 0.04 + offset),
      shape,
    );
  };

/** By kernel; several where what the gradient does depends on shapes or settings. */
const CASES: Record<string, Case[]> = {
  Abs: [[x => x.abs(), apart([3, 4])]],
  Add: [
    [(a, b) => a.add(b), [3, 4], [3, 4]],
    [(a, b) => a.add(b), [2, 3, 4], [4]],
    [(a, b) => a.add(b), [3, 1], [2, 1, 4]],
  ],
  AddN: [[(a, b, c) => tf.addN([a, b, c]), [3], [3], [3]]],
  BatchMatMul: [
    ...[false, true].flatMap(tA =>
      [false, true].map((tB): Case => [
        (a, b) => tf.matMul(a, b, tA, tB),
        tA ? [2, 4, 3] : [2, 3, 4],
        tB ? [2, 5, 4] : [2, 4, 5],
      ]),
    ),
    [(a, b) => einsum('n q h d, n k h d -> n h q k', a, b), [2, 3, 2, 4], [2, 5, 2, 4]],
  ],
  Cast: [[x => x.cast('float32').mul(2), [4]]],
  ClipByValue: [[x => tf.clipByValue(x, -0.5, 0.4), apart([4, 5], 0.03)]],
  Concat: [
    [(a, b) => tf.concat([a, b], 1), [2, 3, 2], [2, 1, 2]],
    [(a, b) => tf.concat([a, b], -1), [2, 3], [2, 4]],
  ],
  Cos: [[x => x.cos(), [4]]],
  Exp: [[x => x.exp(), [5]]],
  Identity: [[x => x.clone(), [5]]],
  LeakyRelu: [[x => tf.leakyRelu(x, 0.2), apart([9])]],
  Log: [[x => x.log(), positive(6)]],
  Max: [[x => x.max(1), apart([3, 4])]],
  Maximum: [
    [(a, b) => a.maximum(b), apart([12]), apart([12], 0.25)],
    [a => a.maximum(0.25), apart([4, 3])],
  ],
  Mean: [
    [x => x.mean(), [3, 4]],
    [x => x.mean([0, 2]), [2, 3, 4]],
    [x => x.mean(1, true), [2, 3, 4]],
  ],
  Multiply: [
    [(a, b) => a.mul(b), [3, 4], [3, 4]],
    [(a, b) => a.mul(b), [2, 3, 4], [3, 1]],
    [a => a.mul(a), [5]],
  ],
  Neg: [[x => x.neg(), [5]]],
  PadV2: [
    [
      x =>
        tf.pad(x, [
          [1, 0],
          [2, 1],
        ]),
      [2, 3],
    ],
  ],
  RealDiv: [
    [(a, b) => a.div(b), [3, 4], positive(3, 4)],
    [(a, b) => a.div(b), [2, 3, 4], positive(4)],
    [(a, b) => a.div(b), [4], positive(3, 1)],
  ],
  Relu: [[x => x.relu(), apart([3, 5])]],
  Reshape: [[x => x.reshape([4, 3]), [2, 6]]],
  Rsqrt: [[x => x.rsqrt(), positive(6)]],
  Sigmoid: [[x => x.sigmoid(), [6]]],
  Sin: [[x => x.sin(), [4]]],
  Slice: [[x => tf.slice(x, [1, 0, 2], [1, 2, 2]), [3, 2, 5]]],
  Softmax: [[x => tf.softmax(x), [3, 5]]],
  Softplus: [[x => tf.softplus(x), [7]]],
  SplitV: [
    [x => tf.mul(...(tf.split(x, 2, 1) as [Tensor, Tensor])), [2, 6]],
    [x => tf.split(x, [1, 3, 2], -1)[1], [2, 6]],
  ],
  Sqrt: [[x => x.sqrt(), positive(6)]],
  Square: [[x => x.square(), [6]]],
  Sub: [
    [(a, b) => a.sub(b), [3, 4], [3, 4]],
    [(a, b) => a.sub(b), [4], [2, 3, 1]],
  ],
  Sum: [
    [x => x.sum(), [3, 4]],
    [x => x.sum([0, 2]), [2, 3, 4]],
    [x => x.sum(1, true), [2, 3, 4]],
  ],
  Tanh: [[x => x.tanh(), [6]]],
  Tile: [[x => tf.tile(x, [2, 3]), [2, 2]]],
  Transpose: [
    [x => tf.transpose(x, [2, 0, 1]), [2, 3, 4]],
    [x => tf.transpose(x, [0, 3, 1, 4, 2]), [2, 3, 2, 1, 2]],
  ],
  Unpack: [[x => tf.mul(...(tf.unstack(x, 1) as [Tensor, Tensor])), [3, 2, 2]]],
};

test.each(Object.entries(CASES))('the gradient of %s is what finite differences say', (kernel, cases) => {
  tf.tidy(() => {
    for (const [f, ...inputs] of cases) {
      used.clear();
      const given = inputs.map((x, i) => (Array.isArray(x) ? random.for(`x${i}`).normalTensor(x) : x()));
      expect(gradientError(f, given)).toBeLessThan(3e-3);
      expect([...used]).toContain(kernel);
    }
  });
});

test('at kinks and at zero vectors gradients are PyTorch’s', () => {
  const at = (values: number[], f: F): number[] =>
    Array.from(
      tf.tidy(() =>
        tf
          .grad(x => f(x))(tf.tensor1d(values))
          .dataSync(),
      ),
    );
  const kinks = [0, 1, -1];
  expect(at(kinks, x => x.abs())).toEqual([0, 1, -1]);
  expect(at(kinks, x => x.relu())).toEqual([0, 1, 0]);
  expect(at(kinks, x => tf.clipByValue(x, -1, 1))).toEqual([1, 1, 1]);
  expect(at([0, 100, -100], x => tf.softplus(x))).toBeAllClose([0.5, 1, 0]);
  // torch.nn.functional.normalize of zeros: dy / 1e-12.
  expect(at([0, 0, 0], x => unit(x).mul([1, 2, 3]))).toBeAllClose([1e12, 2e12, 3e12]);
});

describe('no gradient without a case is used by', () => {
  const folder = tempFolder();
  let count = 0;
  const npz = async (shape: number[]): Promise<string> => {
    const path = join(folder, `${count++}.npz`);
    await writeNpz(path, { latents: { shape, dtype: 'float32', data: random.normals(tf.util.sizeFromShape(shape)) } });
    return path;
  };
  const train = async (model: string, flags: Record<string, string | number>): Promise<void> => {
    const words = Object.entries({ ...IMAGES, ...flags }).map(([name, value]) => `--${name}=${value}`);
    const { code, stderr } = await maetok('train', model, ...words, '--out', join(folder, `${count++}`), '--quiet');
    expect({ code, stderr }).toMatchObject({ code: 0 });
  };
  const IMAGES = {
    data: 'synthetic:scenes?count=12&size=16',
    'image-size': 16,
    'patch-size': 8,
    'latent-channels': 4,
    width: 16,
    depth: 1,
    heads: 2,
    'batch-size': 2,
    steps: 1,
    'evaluation-images': 2,
    augmentation: 'none',
  };
  const MAETOK = { 'latent-tokens': 3, 'aux-width': 8, 'aux-depth': 1 };

  const diffusion = (model: string, recipe: Partial<Recipe>, rest: object = {}): void =>
    tf.tidy(() => {
      const small = { ...MODELS[model], width: 16, depth: 1, heads: 2, classes: 2 };
      const config = networkConfig(model, { tokens: 4, channels: 3, grid: [2, 2] }, { ...small, ...rest });
      const params = initialise(config, random);
      const batch = {
        data: random.normalTensor([2, 4, 3]),
        labels: Int32Array.of(0, 1),
        features: random.normalTensor([2, 4, 5]),
      };
      const whole: Recipe = {
        objective: OWN_OBJECTIVE,
        weighting: 'none',
        times: { distribution: 'uniform', mean: 0, std: 1, timeShift: 1 },
        direction: 1,
        labelDropout: 0.1,
        alignment: 1,
        early: 1,
        ...recipe,
      };
      const trained = Object.keys(params).filter(name => !isTable(name));
      valueAndGradients(
        () => trainingLoss(config, params, batch, whole, random).loss,
        trained.map(name => params[name]),
      );
    });

  const TRAINED: [string, () => void | Promise<void>][] = [
    ['ae', () => train('ae', { positions: 'absolute', sizes: '16,24', l1: 1, steps: 2 })],
    ['kl-vae', () => train('kl-vae', { positions: 'rope-axial', perceptual: 1 })],
    [
      'maetok with a PatchGAN',
      () => train('maetok', { ...MAETOK, disc: 'patchgan', 'disc-width': 4, 'disc-layers': 1 }),
    ],
    [
      'maetok with heads on a DINO ViT',
      async () => {
        const dino = join(folder, 'dino.safetensors');
        await writeSafetensors(dino, await arraysFrom(tinyDino()));
        await train('maetok', { ...MAETOK, disc: 'dino', 'disc-backbone': dino, 'disc-loss': 'non-saturating' });
      },
    ],
    [
      'maetok drawn towards features',
      async () => await train('maetok', { ...MAETOK, align: await npz([11, 4, 3]), 'latent-tokens': 0 }),
    ],
    ['sit', () => diffusion('sit-tiny', {}, { qkNorm: true })],
    ['sit with guidance as an input', () => diffusion('sit-tiny', {}, { beta: true })],
    ['sit with projectors', () => diffusion('sit-tiny', {}, { projectors: { after: 1, width: 8, features: [5] } })],
    [
      'sit with a convolution for a projector, spatially normalised features and an early prediction',
      () =>
        diffusion(
          'sit-tiny',
          { spatialMean: 0.6 },
          { projectors: { after: 1, kind: 'conv', width: 8, features: [5] }, early: { after: 1 } },
        ),
    ],
    [
      'sit with a wide head',
      () => diffusion('sit-tiny', {}, { head: { width: 24, depth: 1, heads: 2 }, timeFeatures: 'drawn' }),
    ],
    ['lightningdit', () => diffusion('lightningdit-tiny', { weighting: 'none' })],
    [
      'the attentive probe',
      async () => {
        const source = arrayRows('latents', random.normals(64), 8, 8);
        const data = await featureMatrix(source, Int32Array.of(0, 1, 0, 1, 0, 1, 0, 1), unscaled(8));
        await attentiveScores(data, data, { classes: 2, tokens: 2, width: 8, epochs: 1, seed: 0 });
        data.dispose();
      },
    ],
    [
      'the denoiser of planted mixtures',
      async () => {
        const mixture = plantedMixture({ components: 2, dims: 3, separation: 3, random: numbers });
        await trainDenoiser(mixture, { rows: 20, steps: 10, batch: 8, width: 8, depth: 1, lr: 1e-3, seed: 0 });
      },
    ],
  ];

  test.each(TRAINED)('%s', async (_, run) => {
    used.clear();
    await run();
    expect(used.size).toBeGreaterThan(3);
    expect([...used].filter(kernel => !(kernel in CASES))).toEqual([]);
  });
});

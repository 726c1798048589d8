import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import {
  forward,
  initialise,
  isBuffer,
  isTable,
  networkConfig,
  shapes,
  OWN_OBJECTIVE,
  type NetworkConfig,
} from '../../src/diffusion/index.js';
import { hiddenStates } from '../../src/diffusion/network.js';
import { velocityNetwork } from '../../src/diffusion/objective.js';
import { RandomStream, startEngine, tf, valueAndGradients, type Scalar, type Tensor } from '../../src/engine/index.js';
import { countParameters, type Params } from '../../src/nn/index.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';

const random = new RandomStream(0);
const maetok = { tokens: 128, channels: 32 };
const parameters = (config: NetworkConfig): number => countParameters({ shapes: () => shapes(config), isBuffer });

beforeAll(async () => {
  await startEngine();
});

describe('published sizes, counted without allocating anything', () => {
  it.each([
    ['sit-xl', 675_000_608],
    ['sit-l', 457_988_128],
    ['sit-b', 130_426_400],
  ])('%s on 128 × 32 latents has %d parameters', (model, expected) => {
    expect(parameters(networkConfig(model, maetok, { classes: 1000 }))).toBe(expected);
  });

  it('RAE’s DiT-DH-XL on DINOv2-B tokens has as many as its authors’ code makes', () => {
    const config = networkConfig(
      'lightningdit-xl',
      { tokens: 256, channels: 768, grid: [16, 16] },
      { classes: 1000, head: { width: 2048, depth: 2, heads: 16 }, timeFeatures: 'drawn' },
    );
    expect(parameters(config)).toBe(838_675_796);
  });

  it('LightningDiT-XL/1 on VA-VAE latents has 675 million', () => {
    const config = networkConfig('lightningdit-xl', { tokens: 256, channels: 32, grid: [16, 16] }, { classes: 1000 });
    expect(Math.round(parameters(config) / 1e5) / 10).toBe(675.3);
  });
});

describeWithShared('golden/maetok/full-size-keys.json', 'published state dicts', () => {
  type Listing = Record<string, { keys: Record<string, [dtype: string, shape: number[]]> }>;
  const listings = (): Listing =>
    JSON.parse(readFileSync(`${SHARED}/golden/maetok/full-size-keys.json`, 'utf8')) as Listing;
  const sorted = (keys: Record<string, number[]>): [string, number[]][] => Object.entries(keys).sort();
  const published = (name: string): Record<string, number[]> =>
    Object.fromEntries(Object.entries(listings()[name].keys).map(([key, [, shape]]) => [key, shape]));

  it('MAETok’s SiT-XL has the same keys and shapes', () => {
    const ours = shapes(networkConfig('sit-xl', maetok, { classes: 1000 }));
    expect(sorted(ours)).toEqual(sorted(published('sit-xl_maetok-b-128')));
  });

  it('the official SiT-XL/2 has the same keys and shapes', () => {
    const latents = { tokens: 32 * 32, channels: 4, grid: [32, 32] as [number, number] };
    const ours = shapes(networkConfig('sit-xl', latents, { classes: 1000, patch: 2, learnSigma: true }));
    expect(sorted(ours)).toEqual(sorted(published('SiT-XL/2 (official 2D, 256 pixels)')));
  });
});

const SMALL = { width: 16, depth: 2, heads: 2, classes: 3 };
const VARIANTS: Record<string, NetworkConfig> = {
  'SiT on a line': networkConfig('sit-tiny', { tokens: 6, channels: 4 }, SMALL),
  'SiT on a grid with patches of two': networkConfig(
    'sit-tiny',
    { tokens: 16, channels: 4, grid: [4, 4] },
    { ...SMALL, patch: 2 },
  ),
  'LightningDiT on a line': networkConfig('lightningdit-tiny', { tokens: 6, channels: 4 }, { ...SMALL, qkNorm: true }),
  'SiT on a line with a wide head': networkConfig(
    'sit-tiny',
    { tokens: 6, channels: 4 },
    { ...SMALL, depth: 1, head: { width: 24, depth: 1, heads: 2 }, timeFeatures: 'drawn' },
  ),
  'LightningDiT on a grid with a wide head and patches of two': networkConfig(
    'lightningdit-tiny',
    { tokens: 16, channels: 4, grid: [4, 4] },
    { ...SMALL, depth: 1, patch: 2, head: { width: 24, depth: 1, heads: 3 }, timeFeatures: 'drawn' },
  ),
  'LightningDiT on a grid': networkConfig('lightningdit-tiny', { tokens: 8, channels: 4, grid: [2, 4] }, SMALL),
};

/** Initial parameters, the zero ones moved away from zero so that everything takes part. */
function moved(config: NetworkConfig): Params {
  return Object.fromEntries(
    Object.entries(initialise(config, random)).map(([name, value]) => [
      name,
      isTable(name) ? value : value.add(random.for(`move ${name}`).normalTensor(value.shape).mul(0.1)),
    ]),
  );
}

describe.each(Object.entries(VARIANTS))('%s', (_, config) => {
  const rows = 3;
  const input = (): { x: Tensor; t: number[]; labels: number[] } => ({
    x: random.for('x').normalTensor([rows, config.tokens, config.channels]),
    t: [0.1, 0.5, 0.9],
    labels: [0, 2, config.classes],
  });

  it('starts as the zero velocity, shaped like the latents', () => {
    const { prediction } = forward(config, initialise(config, random), input());
    expect(prediction.shape).toEqual([rows, config.tokens, config.channels]);
    expect(prediction.abs().max().dataSync()[0]).toBe(0);
  });

  it('treats the rows of a batch independently', () => {
    const params = moved(config);
    const { x, t, labels } = input();
    const together = forward(config, params, { x, t, labels }).prediction;
    const alone = t.map((_, i) => {
      const row = { x: x.slice([i, 0, 0], [1, -1, -1]), t: [t[i]], labels: [labels[i]] };
      return forward(config, params, row).prediction;
    });
    expect(together.dataSync()).toBeAllClose(tf.concat(alone).dataSync(), { rtol: 1e-5 });
  });

  it('has gradients in every parameter that trains, which agree with finite differences', () => {
    const params = moved(config);
    const names = Object.keys(params).filter(name => !isTable(name));
    const weights = random.for('loss').normalTensor([rows, config.tokens, config.channels]);
    const loss = (changed: Params): Scalar =>
      forward(config, { ...params, ...changed }, input())
        .prediction.mul(weights)
        .sum<Scalar>();
    const { gradients } = valueAndGradients(
      () => loss({}),
      names.map(name => params[name]),
    );
    names.forEach((name, i) => {
      expect([name, gradients[i]?.shape]).toEqual([name, params[name].shape]);
      const direction = random.for(`direction ${name}`).normalTensor(params[name].shape);
      const along = (step: number): number => loss({ [name]: params[name].add(direction.mul(step)) }).dataSync()[0];
      const step = 1e-2 / Math.sqrt(direction.size);
      const numeric = (along(step) - along(-step)) / (2 * step);
      const exact = gradients[i]!.mul(direction).sum().dataSync()[0];
      const scale = gradients[i]!.norm().mul(direction.norm()).dataSync()[0];
      expect(Math.abs(numeric - exact)).toBeLessThan(0.02 * scale + 1e-3);
    });
  });

  it('gives the tokens after any block, and those before the first', () => {
    const params = moved(config);
    const { activations } = forward(config, params, input(), () => true);
    const blocks = config.depth + (config.head?.depth ?? 0);
    for (let after = 0; after <= blocks; after++) {
      const expected = activations[after === 0 ? 'embed' : `blocks.${after - 1}`].dataSync();
      expect(hiddenStates(config, params, input(), after).dataSync()).toBeAllClose(expected, { rtol: 1e-5 });
    }
  });

  it('leaves no tensors behind', () => {
    const params = moved(config);
    const { x, labels } = input();
    const before = tf.memory().numTensors;
    velocityNetwork({ config, params, objective: OWN_OBJECTIVE })(x, 0.3, Int32Array.from(labels)).dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomStream, startEngine, tf, type Tensor4D } from '../../src/engine/index.js';
import { readJson, readSafetensors, writeSafetensors, type NdArray } from '../../src/io/index.js';
import { normalisationCard, openTokenizer } from '../../src/tokenizers/index.js';
import type { OpenOptions } from '../../src/tokenizers/tokenizer.js';
import { tempFolder } from '../helpers/temp.js';

/* sdvae-shift: latents of 3 channels on a grid of 4 × 4 for images of 16 pixels. */
const RECORDED = fileURLToPath(new URL('../../fixtures/golden/convolutional/sdvae-shift', import.meta.url));
const SIDE = 16;
const folder = tempFolder();
let weights: Record<string, NdArray>;
let parameters: Record<string, unknown>;

beforeAll(async () => {
  await startEngine();
  weights = await readSafetensors(`${RECORDED}/weights.safetensors`);
  ({ parameters } = (await readJson(`${RECORDED}/config.json`)) as { parameters: Record<string, unknown> });
});

/** A folder as diffusers writes it, with these fields in its config. */
async function published(fields: Record<string, unknown>): Promise<string> {
  const at = join(folder, String(Math.random()).slice(2));
  mkdirSync(at);
  writeFileSync(join(at, 'config.json'), JSON.stringify({ ...parameters, ...fields }));
  await writeSafetensors(join(at, 'model.safetensors'), weights);
  return at;
}

const tensor = (shape: number[], data: ArrayLike<number>): NdArray => ({
  shape,
  dtype: 'float32',
  data: Float32Array.from(data),
});

async function statistics(tensors: Record<string, NdArray>): Promise<string> {
  const path = join(folder, `${String(Math.random()).slice(2)}.safetensors`);
  await writeSafetensors(path, tensors);
  return path;
}

const images = (): Tensor4D => tf.clipByValue(new RandomStream(3).normalTensor([1, SIDE, SIDE, 3]), -1, 1) as Tensor4D;

async function roundTrip(spec: string, options: OpenOptions = {}) {
  const tokenizer = await openTokenizer(spec, { imageSize: SIDE, ...options });
  const latents = await tokenizer.encode(images());
  const decoded = await tokenizer.decode(latents);
  tokenizer.dispose();
  return { latents: await latents.data(), decoded: await decoded.data(), tokenizer };
}

/** The network's own z, [16 tokens, 3 channels], and what it decodes to. */
const plain = async () => await roundTrip(await published({ shift_factor: 0, scaling_factor: 1 }));

const [MEAN, STD] = [
  [0.5, -1, 2],
  [0.25, 2, 4],
];
const perChannel = (z: ArrayLike<number>): number[] => Array.from(z, (value, i) => (value - MEAN[i % 3]) / STD[i % 3]);

describe('latents', () => {
  it('are normalised per channel by latents_mean and latents_std of the config, and decoded back', async () => {
    const spec = await published({ latents_mean: MEAN, latents_std: STD, scaling_factor: 0.5 });
    const [own, { latents, decoded, tokenizer }] = [await plain(), await roundTrip(spec)];
    expect(latents).toBeAllClose(perChannel(own.latents), { rtol: 1e-5 });
    expect(decoded).toBeAllClose(own.decoded, { rtol: 1e-4 });
    expect(await normalisationCard(tokenizer.normalisation)).toEqual({
      latent_shift: MEAN,
      latent_scale: [4, 0.5, 0.25],
      latent_normalisation: 'config latents_mean, latents_std',
    });
  });

  it.each<[string, () => Record<string, NdArray>]>([
    ['LightningDiT’s', () => ({ mean: tensor([1, 3, 1, 1], MEAN), std: tensor([1, 3, 1, 1], STD) })],
    [
      'RAE’s variances',
      () => ({
        mean: tensor([3], MEAN),
        var: tensor(
          [3],
          STD.map(std => std ** 2 - 1e-5),
        ),
      }),
    ],
    [
      'REPA-E’s',
      () => ({
        latents_bias: tensor([1, 3, 1, 1], MEAN),
        latents_scale: tensor(
          [1, 3, 1, 1],
          STD.map(std => 1 / std),
        ),
      }),
    ],
    ['SVG’s', () => ({ dinov3_sp_mean: tensor([1, 1, 3], MEAN), dinov3_sp_std: tensor([1, 1, 3], STD) })],
  ])('are normalised by a file of statistics: %s', async (_, tensors) => {
    const [own, { latents }] = [
      await plain(),
      await roundTrip(await published({}), { statistics: await statistics(tensors()) }),
    ];
    expect(latents).toBeAllClose(perChannel(own.latents), { rtol: 1e-4 });
  });

  it('are normalised per position where statistics are [channels, rows, columns]', async () => {
    const mean = Float32Array.from({ length: 48 }, (_, i) => i / 10);
    const path = await statistics({
      mean: tensor([3, 4, 4], mean),
      std: tensor([3, 4, 4], new Float32Array(48).fill(2)),
    });
    const [own, { latents, decoded }] = [await plain(), await roundTrip(await published({}), { statistics: path })];
    const at = (i: number): number => mean[(i % 3) * 16 + Math.floor(i / 3)];
    expect(latents).toBeAllClose(
      Array.from(own.latents, (value, i) => (value - at(i)) / 2),
      { rtol: 1e-5 },
    );
    expect(decoded).toBeAllClose(own.decoded, { rtol: 1e-4 });
  });

  it('are normalised by what was measured when they were extracted, whatever their scale then', async () => {
    const path = join(folder, 'latents.json');
    const scaled = { mean: MEAN.map(value => (value - 1) * 3), std: STD.map(value => value * 3) };
    writeFileSync(path, JSON.stringify({ ...scaled, meta: { latent_shift: 1, latent_scale: 3 } }));
    const [own, { latents }] = [await plain(), await roundTrip(await published({}), { statistics: path })];
    expect(latents).toBeAllClose(perChannel(own.latents), { rtol: 1e-5 });
  });

  it('find REPA-E’s statistics beside the weights', async () => {
    const spec = join(await published({}), 'model.safetensors');
    const found = await statistics({ latents_bias: tensor([3], MEAN), latents_scale: tensor([3], [4, 0.5, 0.25]) });
    await writeSafetensors(spec.replace('.safetensors', '-latents-stats.pt'), await readSafetensors(found));
    expect((await roundTrip(spec)).latents).toBeAllClose(perChannel((await plain()).latents), { rtol: 1e-5 });
  });
});

it('statistics belong to a tokenizer’s digest', async () => {
  const spec = await published({});
  const path = await statistics({ mean: tensor([3], MEAN), std: tensor([3], STD) });
  const [without, other] = [await roundTrip(spec), await roundTrip(spec, { statistics: path })];
  expect(other.tokenizer.digest).not.toBe(without.tokenizer.digest);
});

describe('refused in one line', () => {
  it.each<[string, Record<string, NdArray>, RegExp]>([
    [
      'other channels',
      { mean: tensor([4], [1, 2, 3, 4]), std: tensor([4], [1, 1, 1, 1]) },
      /\[4\] do not fit .* 16 tokens of 3/,
    ],
    [
      'a channel that never changes',
      { mean: tensor([3], MEAN), std: tensor([3], [1, 0, 1]) },
      /number 1 cannot normalise/,
    ],
    ['no statistics', { weight: tensor([3], MEAN) }, /holds no statistics of latents: .*; it has weight/],
    ['two layouts', { mean: tensor([3], MEAN), std: tensor([1], [2]) }, /'mean' is given per channel, 'std' per all/],
  ])('%s', async (_, tensors, message) => {
    const opening = openTokenizer(await published({}), { imageSize: SIDE, statistics: await statistics(tensors) });
    await expect(opening).rejects.toThrow(message);
  });

  it('latents_mean without latents_std', async () => {
    const spec = await published({ latents_mean: MEAN, latents_std: null });
    await expect(openTokenizer(spec)).rejects.toThrow(/config has latents_mean without its counterpart/);
  });
});

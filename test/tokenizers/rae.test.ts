import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startEngine, tf, type Tensor, type Tensor4D } from '../../src/engine/index.js';
import { readSafetensors, writeSafetensors, type NdArray } from '../../src/io/index.js';
import { openTokenizer, type Tokenizer } from '../../src/tokenizers/index.js';
import { verifyCase } from '../../src/verify/index.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';

/* Recorded with diffusers 0.42.1 and transformers 5.24 at random weights: fixtures/golden/rae/record.py. */

const GOLDEN = fileURLToPath(new URL('../../fixtures/golden/rae', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'maetok-rae-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(async () => {
  await startEngine();
});

const failing = async (folder: string): Promise<string[]> =>
  (await verifyCase(folder, { tolerance: 1e-4 })).filter(({ pass }) => !pass).map(({ tensor }) => tensor);

it('agrees with diffusers', async () => {
  expect(await failing(`${GOLDEN}/dinov2`)).toEqual([]);
});

it('refuses diffusers’ weights with half of their statistics', async () => {
  const whole = Object.entries(await readSafetensors(`${GOLDEN}/dinov2/weights.safetensors`));
  const path = join(folder, 'half.safetensors');
  await writeSafetensors(path, Object.fromEntries(whole.filter(([key]) => key !== '_latents_std')));
  const opening = openTokenizer(path, { config: `${GOLDEN}/dinov2/config.json` });
  await expect(opening).rejects.toThrow(/half\.safetensors: tensor '_latents_std' is missing, without which/);
});

describeWithShared('golden/rae', 'the encoder in either spelling', () => {
  it.each(['dinov2-64', 'dinov2-64-transformers4-keys'])('%s', async name => {
    expect(await failing(`${SHARED}/golden/rae/${name}`)).toEqual([]);
  });
});

/** Largest difference from a recorded tensor of PyTorch's layout, relative to its largest number. */
async function apart(actual: Tensor, { shape, data }: NdArray): Promise<number> {
  const [difference, scale] = tf.tidy(() => {
    const expected = tf.tensor(Float32Array.from(data as Float32Array), shape);
    return [actual.sub(expected).abs().max(), expected.abs().max()].map(x => x.dataSync()[0]);
  });
  actual.dispose();
  return Promise.resolve(difference / scale);
}

/** Encodes and decodes what a case recorded, and says how far both are from it. */
async function roundTrip(tokenizer: Tokenizer, name: string): Promise<{ latent: number; decoded: number }> {
  const io = await readSafetensors(`${GOLDEN}/${name}/io.safetensors`);
  const images = tf.tidy(() => {
    const { shape, data } = io['input.image'];
    return tf
      .transpose(tf.tensor(data as Float32Array, shape), [0, 2, 3, 1])
      .mul(2)
      .sub<Tensor4D>(1);
  });
  const latents = await tokenizer.encode(images);
  const decoded = await tokenizer.decode(latents);
  const [n, tokens, channels] = latents.shape;
  const side = Math.sqrt(tokens);
  const maps = tf.tidy(() => tf.transpose(latents, [0, 2, 1]).reshape([n, channels, side, side]));
  const pixels = tf.tidy(() => tf.transpose(decoded, [0, 3, 1, 2]).add(1).div(2));
  tf.dispose([images, latents, decoded]);
  return { latent: await apart(maps, io['output.latent']), decoded: await apart(pixels, io['output.decoded']) };
}

const halves = (name: string): string => `${GOLDEN}/${name}/encoder,${GOLDEN}/${name}/decoder/model.pt`;

describe('the authors’ own files: encoder and decoder apart, statistics beside the decoder', () => {
  it('RAE: the last tokens of an encoder, normalised per position', async () => {
    const before = tf.memory().numTensors;
    const tokenizer = await openTokenizer(`rae:${halves('authors')}`);
    expect(tokenizer).toMatchObject({ family: 'rae', imageSize: 24, latentShape: [9, 24], grid: [3, 3] });
    expect(tokenizer.normalisation.per).toBe('position');
    const { latent, decoded } = await roundTrip(tokenizer, 'authors');
    expect(latent).toBeLessThan(1e-4);
    expect(decoded).toBeLessThan(1e-4);
    tokenizer.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('RAEv2: the mean of several layers, and pixels that are not standardised', async () => {
    const config = join(folder, 'stage1.yaml');
    writeFileSync(config, 'stage_1: { params: { encoder_name: "dinov3mls-vit-l16[layers=0.2]", noise_tau: 0.8 } }');
    const tokenizer = await openTokenizer(`rae:${halves('raev2')}`, { config });
    const { latent, decoded } = await roundTrip(tokenizer, 'raev2');
    expect(latent).toBeLessThan(1e-4);
    expect(decoded).toBeLessThan(1e-4);
    tokenizer.dispose();
  });

  it.each([
    [`${GOLDEN}/authors/decoder/model.pt`, {}, /holds an RAE's decoder alone; name its encoder too, as rae:ENCODER/],
    [`rae:${halves('raev2')}`, {}, /averages layers of DINOv3, and the weights do not tell which; name them: raev2-/],
    [`raev2-dinov3l-k7:${halves('raev2')}`, {}, /layer 11 is to be averaged, but the encoder has 3/],
    [`rae:${halves('authors')}`, { imageSize: 64 }, /--image-size 64: rae decodes images of 24 pixels/],
  ])('refuses %s', async (spec, options, message) => {
    await expect(openTokenizer(spec, options)).rejects.toThrow(message);
  });
});

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { silentLog, type Log } from '../../src/base/index.js';
import { RandomStream, startEngine, tf, type Tensor3D, type Tensor4D } from '../../src/engine/index.js';
import { readSafetensors, writeSafetensors, type NdArray } from '../../src/io/index.js';
import { openTokenizer } from '../../src/tokenizers/index.js';
import type { OpenOptions } from '../../src/tokenizers/tokenizer.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';
import { tempFolder } from '../helpers/temp.js';

const GOLDEN = fileURLToPath(new URL('../../fixtures/golden', import.meta.url));
const folder = tempFolder();

beforeAll(async () => {
  await startEngine();
});

const images = (side: number): Tensor4D =>
  tf.clipByValue(new RandomStream(3).normalTensor([2, side, side, 3]), -1, 1) as Tensor4D;

/** Latents of the same two images, and the images decoded from them. */
async function roundTrip(
  spec: string,
  options: OpenOptions = {},
): Promise<{ latents: Float32Array; decoded: Float32Array }> {
  const tokenizer = await openTokenizer(spec, options);
  const latents = await tokenizer.encode(images(tokenizer.imageSize));
  const decoded = await tokenizer.decode(latents);
  expect(latents.shape).toEqual([2, ...tokenizer.latentShape]);
  expect(decoded.shape).toEqual([2, tokenizer.imageSize, tokenizer.imageSize, 3]);
  tokenizer.dispose();
  return { latents: Float32Array.from(await latents.data()), decoded: Float32Array.from(await decoded.data()) };
}

/** A recorded network as a user would have it: weights with their own config.json beside them. */
async function published(name: string, change: (weights: Record<string, NdArray>) => Record<string, NdArray> = w => w) {
  const at = join(folder, `${name}-${String(Math.random()).slice(2)}`);
  mkdirSync(at);
  const recorded = JSON.parse(readFileSync(`${GOLDEN}/convolutional/${name}/config.json`, 'utf8')) as {
    parameters: Record<string, unknown>;
  };
  writeFileSync(join(at, 'config.json'), JSON.stringify(recorded.parameters));
  const weights = change(await readSafetensors(`${GOLDEN}/convolutional/${name}/weights.safetensors`));
  await writeSafetensors(join(at, 'model.safetensors'), weights);
  return { folder: at, path: join(at, 'model.safetensors'), config: recorded.parameters };
}

const renamed =
  (...rules: [RegExp, string][]) =>
  (weights: Record<string, NdArray>): Record<string, NdArray> =>
    Object.fromEntries(
      Object.entries(weights).map(([key, array]) => [rules.reduce((k, [from, to]) => k.replace(from, to), key), array]),
    );

const size32 = { imageSize: 32 };

describe('a config’s setting that would change the numbers and is not supported', () => {
  it('is refused by name', async () => {
    const { path, folder: at, config } = await published('sdvae-shift');
    writeFileSync(join(at, 'config.json'), JSON.stringify({ ...config, act_fn: 'relu' }));
    await expect(openTokenizer(path)).rejects.toThrow(/config field act_fn: .*support/);
  });

  it('is passed over where it has no effect', async () => {
    const harmless = { latents_mean: null, latents_std: null, force_upcast: true, mid_block_add_attention: true };
    const { path, folder: at, config } = await published('sdvae-shift');
    const plain = await roundTrip(path, size32);
    writeFileSync(join(at, 'config.json'), JSON.stringify({ ...config, ...harmless }));
    expect(await roundTrip(path, size32)).toEqual(plain);
  });
});

describe('what is opened to do one thing only', () => {
  it.each<[family: string, spec: string, side: number]>([
    ['ldm', 'convolutional/sdvae-quant', 32],
    ['dc-ae', 'convolutional/dcae-in', 64],
    ['wan', 'image-vaes/wan', 32],
    ['detok', 'published/detok', 0],
    ['vit', 'maetok/ae-rope-mixed', 0],
  ])('does it as the whole tokenizer, and refuses the other: %s', async (family, spec, side) => {
    const [path, size] = [`${GOLDEN}/${spec}/weights.safetensors`, side > 0 ? { imageSize: side } : {}];
    const whole = await openTokenizer(path, size);
    const [encoder, decoder] = [
      await openTokenizer(path, { ...size, only: 'encode' }),
      await openTokenizer(path, { ...size, only: 'decode' }),
    ];
    const shown = images(whole.imageSize);
    const latents = await whole.encode(shown);
    expect(whole.family).toBe(family);
    expect([encoder.parameters, decoder.parameters]).toEqual([whole.parameters, whole.parameters]);
    expect((await encoder.encode(shown)).dataSync()).toEqual(latents.dataSync());
    expect((await decoder.decode(latents)).dataSync()).toEqual((await whole.decode(latents)).dataSync());
    await expect(encoder.decode(latents)).rejects.toThrow('opened to encode only');
    await expect(decoder.encode(shown)).rejects.toThrow('opened to decode only');
    for (const tokenizer of [whole, encoder, decoder]) tokenizer.dispose();
  });
});

describe('a checkpoint of training', () => {
  it.each<[what: string, rules: [RegExp, string], extra: Record<string, NdArray>]>([
    [
      'Lightning’s, beside a loss',
      [/^/, 'model.'],
      { 'loss.logvar': { shape: [1], dtype: 'float32', data: Float32Array.of(0) } },
    ],
    [
      'parallel, with a counter',
      [/^/, 'module.'],
      { n_averaged: { shape: [], dtype: 'int64', data: BigInt64Array.of(3n) } },
    ],
    ['half compiled', [/^encoder\./, 'encoder._orig_mod.'], {}],
  ])('opens as the tokenizer that it holds: %s', async (_what, rule, extra) => {
    const plain = await published('sdvae-shift');
    const wrapped = await published('sdvae-shift', weights => ({ ...renamed(rule)(weights), ...extra }));
    expect(await roundTrip(wrapped.path, size32)).toEqual(await roundTrip(plain.path, size32));
  });
});

describe('SD-VAE’s kin', () => {
  it('opens from its file or its folder, with the scale of its config.json', async () => {
    const { path, folder: at } = await published('sdvae-shift');
    const fromFile = await roundTrip(path, size32);
    expect((await roundTrip(at, size32)).latents).toBeAllClose(fromFile.latents, { rtol: 0 });
    const tokenizer = await openTokenizer(path, size32);
    expect(tokenizer).toMatchObject({
      name: 'kl-vae',
      latentShape: [64, 3],
      grid: [8, 8],
      normalisation: { per: 'all', shift: Float64Array.of(0.1159), scale: Float64Array.of(0.3611) },
      posterior: 'sample',
    });
    tokenizer.dispose();
  });

  it('the same weights under older attention names and in latent diffusion’s spelling give the same latents', async () => {
    const { latents, decoded } = await roundTrip((await published('sdvae-quant')).path, size32);
    const older = renamed(
      [/to_q\./, 'query.'],
      [/to_k\./, 'key.'],
      [/to_v\./, 'value.'],
      [/to_out\.0\./, 'proj_attn.'],
    );
    const compVis = renamed(
      [/down_blocks\.(\d)\./, 'down.$1.'],
      [/up_blocks\.0\./, 'up.x2.'],
      [/up_blocks\.1\./, 'up.1.'],
      [/up_blocks\.2\./, 'up.0.'],
      [/up\.x2\./, 'up.2.'],
      [/mid_block\.resnets\.0/, 'mid.block_1'],
      [/mid_block\.resnets\.1/, 'mid.block_2'],
      [/mid_block\.attentions\.0/, 'mid.attn_1'],
      [/resnets\./, 'block.'],
      [/(down|up)samplers\.0\.conv/, '$1sample.conv'],
      [/conv_shortcut/, 'nin_shortcut'],
      [/conv_norm_out/, 'norm_out'],
      [/group_norm/, 'norm'],
      [/to_q\./, 'q.'],
      [/to_k\./, 'k.'],
      [/to_v\./, 'v.'],
      [/to_out\.0\./, 'proj_out.'],
    );
    const withTrainingLeftovers = (weights: Record<string, NdArray>): Record<string, NdArray> => ({
      ...compVis(weights),
      'loss.logvar': { shape: [1], dtype: 'float32', data: new Float32Array(1) },
    });
    for (const change of [older, compVis, withTrainingLeftovers]) {
      const other = await roundTrip((await published('sdvae-quant', change)).path, size32);
      expect(other.latents).toBeAllClose(latents, { rtol: 1e-6 });
      expect(other.decoded).toBeAllClose(decoded, { rtol: 1e-6 });
    }
  });

  it('a sample of the posterior differs from its mode by the given noise', async () => {
    const tokenizer = await openTokenizer((await published('sdvae-quant')).path, size32);
    const x = images(32);
    const mode = await tokenizer.encode(x);
    const zero = await tokenizer.encode(x, { noise: tf.zerosLike(mode) });
    const sample = await tokenizer.encode(x, { noise: tf.onesLike<Tensor3D>(mode) });
    expect(await zero.data()).toBeAllClose(await mode.data(), { rtol: 1e-6 });
    expect(Math.min(...(await sample.sub(mode).data()))).toBeGreaterThan(0);
    tokenizer.dispose();
  });
});

describe('DC-AE', () => {
  it('what no config tells is read off the weights', async () => {
    const { path, folder: at } = await published('dcae-sana');
    const told = await roundTrip(path, size32);
    const bare = join(at, 'bare');
    mkdirSync(bare);
    copyFileSync(path, join(bare, 'weights.safetensors'));
    const found = await roundTrip(join(bare, 'weights.safetensors'), size32);
    expect(found.latents).toBeAllClose(told.latents, { rtol: 1e-6 });
    expect(found.decoded).toBeAllClose(told.decoded, { rtol: 1e-6 });
  });

  it.each(['dcae-in', 'sdvae-quant'])('refuses a size that its factor does not divide: %s', async name => {
    const { path } = await published(name);
    await expect(openTokenizer(path, { imageSize: 30 })).rejects.toThrow(
      /--image-size 30: does not divide by [48], as/,
    );
  });
});

describe('weights that do not fit', () => {
  it('a wrong config: the tensor and both shapes in one line', async () => {
    const { path, folder: at, config } = await published('sdvae-quant');
    writeFileSync(join(at, 'config.json'), JSON.stringify({ ...config, latent_channels: 4 }));
    await expect(openTokenizer(path)).rejects.toThrow(
      /model\.safetensors: tensor 'encoder\.conv_out\.weight' is \[6, 8, 3, 3\] in the file, .* \[8, 8, 3, 3\]/,
    );
  });

  it('a config given by hand overrides the one next to the weights', async () => {
    const { path } = await published('sdvae-quant');
    const other = join(folder, 'other.yaml');
    writeFileSync(other, 'scaling_factor: 2\nnorm_num_groups: 2\n');
    const tokenizer = await openTokenizer(path, { ...size32, config: other });
    expect(tokenizer.normalisation.scale).toEqual(Float64Array.of(2));
    tokenizer.dispose();
  });

  const incomplete = async (): Promise<string> => {
    const { path } = await published('sdvae-quant', weights => {
      const rest = Object.entries(weights).filter(
        ([key]) => key !== 'decoder.conv_norm_out.weight' && key !== 'quant_conv.bias',
      );
      return { ...Object.fromEntries(rest), extra: { shape: [1], dtype: 'float32', data: new Float32Array(1) } };
    });
    return path;
  };

  it('missing and unexpected tensors are listed and counted', async () => {
    await expect(openTokenizer(await incomplete())).rejects.toThrow(
      /2 tensors missing \(decoder\.norm_out\.weight, quant_conv\.bias\), 1 tensor unexpected \(extra\); --allow-missing/,
    );
  });

  it('--allow-missing continues with a warning', async () => {
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: message => void warnings.push(message) };
    const tokenizer = await openTokenizer(await incomplete(), { ...size32, allowMissing: true, log });
    expect(warnings.join()).toContain('2 tensors missing');
    tokenizer.dispose();
  });

  it('numbers that are not finite: the tensor is named', async () => {
    const { path } = await published('sdvae-quant', weights => {
      const key = 'encoder.conv_in.weight';
      const data = Float32Array.from(weights[key].data as Float32Array);
      data[7] = Infinity;
      return { ...weights, [key]: { ...weights[key], data } };
    });
    await expect(openTokenizer(path)).rejects.toThrow(/'encoder\.conv_in\.weight' holds Infinity at 7/);
  });

  it('groups that do not divide the channels ask for a config', async () => {
    const { folder: at, path } = await published('sdvae-quant');
    writeFileSync(join(at, 'config.json'), '{}');
    await expect(openTokenizer(path)).rejects.toThrow(/4 channels do not divide into 32 .* norm_num_groups/);
  });

  it('weights of no known tokenizer, and ways to name one that do not exist', async () => {
    const path = join(folder, 'other.safetensors');
    await writeSafetensors(path, { 'fc.weight': { shape: [2], dtype: 'float32', data: new Float32Array(2) } });
    await expect(openTokenizer(path)).rejects.toThrow(/not the weights of a tokenizer .* begin fc\.weight/);
    await expect(openTokenizer('vqgan:a,b')).rejects.toThrow(/'vqgan:' is not a known prefix/);
    await expect(openTokenizer(join(folder, 'absent.pt'))).rejects.toThrow(/absent\.pt: no such file/);
  });
});

it('opening and disposing leaves no tensor behind', async () => {
  const { path } = await published('dcae-in');
  const before = tf.memory().numTensors;
  (await openTokenizer(path, size32)).dispose();
  expect(tf.memory().numTensors).toBe(before);
});

describe('ONNX networks', () => {
  const recorded = JSON.parse(readFileSync(`${GOLDEN}/onnx/io.json`, 'utf8')) as Record<string, number[]>;
  const given = (): Tensor4D => tf.tensor4d(recorded.images, [2, 16, 16, 3]);
  const yaml = join(folder, 'toy.yaml');
  const describeToy = (more = ''): void =>
    writeFileSync(
      yaml,
      `encoder: ${GOLDEN}/onnx/encoder.onnx\ndecoder: ${GOLDEN}/onnx/decoder.onnx\nimage_size: 16\npixels: { range: [0, 1] }\n${more}`,
    );

  it('encode and decode as the recorded network does, the YAML telling its input', async () => {
    describeToy();
    const tokenizer = await openTokenizer(`onnx:${yaml}`);
    expect(tokenizer).toMatchObject({ latentShape: [4, 4], grid: [2, 2], posterior: 'none' });
    const latents = await tokenizer.encode(given());
    expect(await latents.data()).toBeAllClose(recorded.tokens, { rtol: 1e-5 });
    expect(await (await tokenizer.decode(latents)).data()).toBeAllClose(recorded.decoded, { rtol: 1e-5 });
    tokenizer.dispose();
  });

  it('a network exported for one image is run image by image; latents are scaled as configured', async () => {
    describeToy('batch: 1\nlatents: { scale: 2, shift: 0.5 }\n');
    const tokenizer = await openTokenizer(`onnx:${yaml}`);
    const latents = await tokenizer.encode(given());
    expect(await latents.data()).toBeAllClose(
      recorded.tokens.map(z => (z - 0.5) * 2),
      { rtol: 1e-5 },
    );
    tokenizer.dispose();
  });

  const ofFour = (parts: string): string => {
    writeFileSync(yaml, `${parts}image_size: 16\npixels: { range: [0, 1] }\n`);
    return `onnx:${yaml}`;
  };

  it.each([
    ['as it says itself', 'encoder-of-4', ''],
    ['as its YAML says', 'encoder-of-4-unsaid', 'batch: 4\n'],
  ])('a network made for four images at a time takes any number: %s', async (_, encoder, batch) => {
    const decoder = `decoder: ${GOLDEN}/onnx/decoder-of-4.onnx\n`;
    const tokenizer = await openTokenizer(ofFour(`encoder: ${GOLDEN}/onnx/${encoder}.onnx\n${decoder}${batch}`));
    const images = tf.tile(given(), [3, 1, 1, 1]);
    const before = tf.memory().numTensors;
    const latents = await tokenizer.encode(images);
    const decoded = await tokenizer.decode(latents);
    expect(await latents.data()).toBeAllClose(Array(3).fill(recorded.tokens).flat(), { rtol: 1e-5 });
    expect(await decoded.data()).toBeAllClose(Array(3).fill(recorded.decoded).flat(), { rtol: 1e-5 });
    expect(tf.memory().numTensors - before).toBe(2);
    tokenizer.dispose();
  });

  it('a batch or a size that the network does not take is named', async () => {
    const encoder = `encoder: ${GOLDEN}/onnx/encoder-of-4.onnx\n`;
    await expect(openTokenizer(ofFour(`${encoder}batch: 2\n`))).rejects.toThrow(/was exported for batches of 4, not 2/);
    await expect(openTokenizer(ofFour(encoder), { imageSize: 32 })).rejects.toThrow(
      /input 'pixels' is \[4, 3, 16, 16\], not \[n, 3, 32, 32\]/,
    );
  });

  it('an encoder that samples internally causes a warning, and its card says so', async () => {
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
    const sampling = await openTokenizer(`onnx:${GOLDEN}/onnx/encoder-sampling.onnx`, { imageSize: 16, log });
    expect(sampling.posterior).toBe('sampled inside');
    expect(warnings).toEqual([expect.stringMatching(/two encodings of one image differ.*digests of latents differ/)]);
    sampling.dispose();
    const steady = await openTokenizer(`onnx:${GOLDEN}/onnx/encoder.onnx`, { imageSize: 16, log });
    expect(steady.posterior).toBe('none');
    expect(warnings).toHaveLength(1);
    steady.dispose();
  });

  it('without a decoder it encodes only, and a field that does not exist is named', async () => {
    const tokenizer = await openTokenizer(`onnx:${GOLDEN}/onnx/encoder.onnx`, { imageSize: 16 });
    await expect(tokenizer.decode(tf.zeros([1, 4, 4]))).rejects.toThrow(/has no decoder/);
    tokenizer.dispose();
    describeToy('size: 3\n');
    await expect(openTokenizer(`onnx:${yaml}`)).rejects.toThrow(/toy\.yaml: .*size/);
  });
});

describeWithShared('weights/taesd', 'the TAESD family’s published weights', () => {
  const weights = `${SHARED}/weights/taesd`;

  it('an encoder with its decoder next to it, or both named, is one tokenizer', async () => {
    const beside = await roundTrip(`${weights}/taef2_encoder.safetensors`, size32);
    const named = await roundTrip(`taef2:${weights}/taef2_encoder.pth,${weights}/taef2_decoder.pth`, size32);
    expect(named.latents).toBeAllClose(beside.latents, { rtol: 0 });
    expect(named.decoded).toBeAllClose(beside.decoded, { rtol: 0 });
  });

  it('missing and unexpected tensors are listed and counted', async () => {
    const weights = await readSafetensors(`${SHARED}/weights/taesd/taef2_encoder.safetensors`);
    delete weights['11.conv.0.weight'];
    const path = join(folder, 'taef2-lacking.safetensors');
    await writeSafetensors(path, { ...weights, 'extra.weight': weights['14.bias'] });
    await expect(openTokenizer(path, size32)).rejects.toThrow(
      /1 tensor missing \(11\.conv\.0\.weight\), 1 tensor unexpected \(extra\.weight\); --allow-missing/,
    );
  });

  it('an encoder alone encodes', async () => {
    const tokenizer = await openTokenizer(`${weights}/taesana_encoder.pth`, { imageSize: 64 });
    expect(tokenizer).toMatchObject({ name: 'taesana', latentShape: [4, 32], parameters: 1_256_288 });
    await expect(tokenizer.decode(tf.zeros([1, 4, 32]))).rejects.toThrow(/has no decoder/);
    tokenizer.dispose();
  });
});

describeWithShared('weights/efficientnet-lite0', 'a feature extractor in a tokenizer’s place', () => {
  it('gives one token of features, by its own name, and decodes nothing', async () => {
    const spec = `effnet-lite0:${SHARED}/weights/efficientnet-lite0/efficientnet_lite0.safetensors?size=64`;
    const before = tf.memory().numTensors;
    const tokenizer = await openTokenizer(spec, { imageSize: 64 });
    expect(tokenizer).toMatchObject({ name: 'effnet-lite0-64', latentShape: [1, 1280], posterior: 'none' });
    const batch = tf.tidy(() => images(64));
    const features = await tokenizer.encode(batch);
    expect(features.shape).toEqual([2, 1, 1280]);
    await expect(tokenizer.decode(features)).rejects.toThrow(/gives features, which cannot be decoded/);
    tokenizer.dispose();
    tf.dispose([batch, features]);
    expect(tf.memory().numTensors).toBe(before);
  });
});

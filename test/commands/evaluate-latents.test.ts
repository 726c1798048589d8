import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { startEngine, tf } from '../../src/engine/index.js';
import { withNoise } from '../../src/jobs/evaluate/latent-noise.js';
import { writeNpz } from '../../src/io/index.js';
import { maetok, maetokByRanks } from '../helpers/cli.js';
import { rowsOf } from '../helpers/csv.js';
import { tempFolder } from '../helpers/temp.js';

const GOLDEN = fileURLToPath(new URL('../../fixtures/golden/convolutional/sdvae-quant', import.meta.url));
const root = tempFolder();
const [vae, training] = [join(root, 'vae'), join(root, 'training')];
const SCENES = 'synthetic:scenes?size=16';
const tokenizer = ['--tokenizer', vae, '--image-size', '16'];

beforeAll(async () => {
  mkdirSync(vae);
  const { parameters } = JSON.parse(readFileSync(`${GOLDEN}/config.json`, 'utf8')) as { parameters: unknown };
  writeFileSync(join(vae, 'config.json'), JSON.stringify(parameters));
  copyFileSync(`${GOLDEN}/weights.safetensors`, join(vae, 'model.safetensors'));
  await maetok('extract', ...tokenizer, '--data', `${SCENES}&count=40`, '--out', training, '--quiet');
});

/** Evaluates ten images that were held out, or the first 40, which were not. */
const evaluated = async (count: 10 | 40, ...args: string[]) => {
  const data = `${SCENES}&count=${count}${count === 10 ? '&seed=3' : ''}`;
  const { code, stdout, stderr } = await maetok(
    'evaluate',
    ...tokenizer,
    '--data',
    data,
    '--features',
    'pixels',
    ...args,
  );
  return { code, stderr, rows: rowsOf(stdout) };
};

describe('latents interpolated with training latents', () => {
  test('one distance, named after the features, the same in every batch size and another by another seed', async () => {
    const ifid = async (...args: string[]) =>
      (await evaluated(10, '--latents', training, '--metrics', 'ifid', '--bootstrap', '0', '--quiet', ...args)).rows;
    const [row, ...others] = await ifid();
    expect(others).toEqual([]);
    expect(row).toMatchObject({ metric: 'ifd', features: 'pixels', images: '10', reference_images: '10' });
    expect(row.variant).toMatch(/^slerp to one of 10 nearest, images unrounded; /);
    expect(Number((await ifid('--batch-size', '3'))[0].value)).toBeCloseTo(Number(row.value), 6);
    const variants = await Promise.all(
      [['--seed', '1'], ['--interpolation', 'linear'], ['--within-class']].map(args => ifid(...args)),
    );
    for (const [other] of variants) expect(other.value).not.toBe(row.value);
    expect(variants[2][0].variant).toMatch(/ of its class,/);
  });

  test('images that the training latents are of are not held out, which a warning says', async () => {
    const { stderr } = await evaluated(40, '--latents', training, '--metrics', 'ifid', '--bootstrap', '0');
    expect(stderr).toMatch(/scenes: the latents of 40 of 40 images are among .*training/);
  });

  test.each([
    ['no training latents', ['--metrics', 'ifid'], /--metrics ifid needs --latents/],
    ['latents for nothing', ['--latents', training, '--metrics', 'fid'], /--latents is for --metrics ifid/],
    [
      'another normalisation',
      ['--latents', training, '--latent-statistics', training],
      /is normalised otherwise \(.*\) than kl-vae/,
    ],
    ['another shape', ['--latents', join(root, 'flat.npz')], /has 1 tokens of 7 channels, .* makes 16 of 3/],
  ])('%s: one line', async (_, args, message) => {
    await writeNpz(
      join(root, 'flat.npz'),
      { latents: { shape: [3, 7], dtype: 'float32', data: new Float32Array(21) } },
      { force: true },
    );
    const { code, stderr } = await evaluated(10, ...args, '--quiet');
    expect(code).toBe(2);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(message);
  });
});

describe('latents decoded with noise', () => {
  test('the noise is σ · s · n: in proportion to σ and to each channel, the same in every batch', async () => {
    await startEngine();
    const seen = async (indices: number[]): Promise<Float32Array[]> => {
      const decoded: Float32Array[] = [];
      // The latents are 5 everywhere and the decoder hands on what it is given.
      const { of } = withNoise(
        {
          encode: () => Promise.resolve(tf.fill<typeof tf.Rank.R3>([indices.length, 200, 2], 5)),
          decode: latents => Promise.resolve(latents.expandDims<ReturnType<typeof tf.tensor4d>>(0)),
        },
        [0, 1, 0.5],
        Float64Array.of(1, 3),
        0,
      );
      const batch = { images: new Float32Array(0), size: 0, indices: Int32Array.from(indices) };
      const none = tf.zeros<typeof tf.Rank.R4>([1, 1, 1, 1]);
      for await (const latents of of(batch, none)) {
        decoded.push(latents.dataSync<'float32'>().map(value => value - 5));
        latents.dispose();
      }
      none.dispose();
      return decoded;
    };
    const before = tf.memory().numTensors;
    const [none, whole, half] = await seen([3, 4]);
    expect(tf.memory().numTensors).toBe(before);
    expect(none.every(value => value === 0)).toBe(true);
    expect(half).toBeAllClose(
      whole.map(value => value / 2),
      { atol: 1e-5 },
    );
    const rms = [0, 1].map(c =>
      Math.sqrt(whole.filter((_, i) => i % 2 === c).reduce((sum, x) => sum + (x * x) / 400, 0)),
    );
    expect(rms[0]).toBeCloseTo(1, 0);
    expect(rms[1]).toBeCloseTo(3, 0);
    const [, alone] = await seen([4]);
    expect(alone).toBeAllClose(whole.subarray(400), { atol: 1e-6 });
  });

  test('a row per level and measure, that of no noise as without, and the slope of each', async () => {
    const noisy = await evaluated(10, '--latent-noise', '0,0.5,1', '--bootstrap', '0', '--quiet');
    const plain = await evaluated(10, '--bootstrap', '0', '--quiet');
    const of = (metric: string) => noisy.rows.filter(row => row.metric === metric);
    for (const metric of ['psnr', 'ssim', 'rfd']) {
      expect(of(metric).map(row => row.latent_noise)).toEqual(['0', '0.5', '1']);
      expect(of(metric)[0].value).toBe(plain.rows.find(row => row.metric === metric)!.value);
      const [first, , last] = of(metric).map(row => Number(row.value));
      // Of three levels at equal distances the middle one does not count.
      expect(Number(of(`${metric}_slope`)[0].value)).toBeCloseTo(last - first, 6);
    }
    expect(of('psnr')[1].variant).toBe('noise=0.5 uint8');
    expect(plain.rows[0]).not.toHaveProperty('latent_noise');
  });
});

describe.each([2, 3])('%d ranks write the table of one, bit for bit', size => {
  test.each([
    ['reconstructions', ['--bootstrap', '2']],
    ['samples of the posterior', ['--posterior', 'sample', '--bootstrap', '0']],
    ['noise on latents', ['--latent-noise', '0,0.5,1', '--bootstrap', '0']],
    ['interpolations', ['--latents', training, '--metrics', 'ifid', '--bootstrap', '2']],
    [
      'interpolations within classes',
      ['--latents', training, '--metrics', 'ifid', '--within-class', '--interpolation', 'linear'],
    ],
    ['equivariance', ['--metrics', 'equivariance']],
  ])('%s', async (_, more) => {
    const data = ['--data', `${SCENES}&count=11&seed=3`, '--features', 'pixels', '--batch-size', '2', '--quiet'];
    const words = ['evaluate', ...tokenizer, ...data, ...more];
    const one = await maetok(...words);
    expect(one.code).toBe(0);
    const [first, ...others] = await maetokByRanks(size, ...words);
    expect(first).toEqual(one);
    for (const other of others) expect(other).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});

test('equivariance: a row per transformation that the tokenizer can do, no decoder asked', async () => {
  const { code, rows, stderr } = await evaluated(10, '--metrics', 'equivariance', '--quiet');
  expect(code).toBe(0);
  expect(stderr).toBe('');
  const variants = (metric: string) => rows.filter(row => row.metric === metric).map(row => row.variant);
  expect(variants('equivariance_rotation')).toEqual(['degrees=90,180,270', 'degrees=90', 'degrees=180', 'degrees=270']);
  expect(variants('equivariance_scale')).toHaveLength(8);
  for (const { value } of rows) expect(Number(value)).toBeGreaterThan(0);
});

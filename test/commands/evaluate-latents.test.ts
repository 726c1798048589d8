import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { writeNpz } from '../../src/io/index.js';
import { maetok } from '../helpers/cli.js';
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

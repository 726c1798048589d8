import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { inceptionShapes } from '../../src/features/inception-weights.js';
import { syntheticWeights } from '../../src/features/synthetic-weights.js';
import { readNpz, writeNpz, writeSafetensors, type NdArray } from '../../src/io/index.js';
import { openReference } from '../../src/jobs/evaluate/sets.js';
import { maetok } from '../helpers/cli.js';
import { rowsOf } from '../helpers/csv.js';
import { describeWithShared, SHARED } from '../helpers/shared.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();
const SCENES = 'synthetic:scenes?count=60&size=16';
const value = (csv: string, metric: string, source?: string): number =>
  Number(rowsOf(csv).find(row => row.metric === metric && (source === undefined || row.source === source))!.value);

beforeAll(async () => {
  for (const [name, more] of [
    ['real', ''],
    ['near', '&seed=7'],
    ['far', '&classes=1&seed=7'],
  ])
    await maetok('data', `${SCENES}${more}`, '--out', join(root, `${name}.npz`), '--quiet');
});
const path = (name: string): string => join(root, `${name}.npz`);

describe('maetok evaluate: generated images', () => {
  test('one row per metric and source, named after the extractor and never fid; nearer images score better', async () => {
    const { code, stdout } = await maetok(
      ...['evaluate', `near=${path('near')}`, `far=${path('far')}`, '--reference', path('real')],
      ...['--features', 'pixels', '--bootstrap', '3', '--quiet'],
    );
    expect(code).toBe(0);
    const table = rowsOf(stdout);
    expect(table.map(row => row.metric)).not.toContain('fid');
    expect(new Set(table.map(row => row.features))).toEqual(new Set(['pixels']));
    expect(table[0]).toMatchObject({ metric: 'fd', source: 'near', images: '60', reference_images: '60' });
    expect(Number(table[0].low)).toBeLessThan(Number(table[0].value));
    expect(value(stdout, 'fd', 'far')).toBeGreaterThan(value(stdout, 'fd', 'near'));
  });

  test('ratios to the distance of held-out images, per extractor and their mean', async () => {
    const { code, stdout } = await maetok(
      ...['evaluate', `far=${path('far')}`, '--reference', path('real'), '--validation', path('near')],
      ...['--features', 'pixels,hog', '--metrics', 'fdr', '--bootstrap', '2', '--quiet'],
    );
    expect(code).toBe(0);
    const rows = rowsOf(stdout);
    const distance = (features: string, source: string): number =>
      Number(rows.find(row => row.metric === 'fd' && row.features === features && row.source === source)!.value);
    const ratios = rows.filter(({ metric }) => metric === 'fdr');
    expect(ratios.map(({ features }) => features)).toEqual(['pixels', 'hog', 'pixels+hog']);
    const expected = ['pixels', 'hog'].map(name => distance(name, 'far') / distance(name, 'validation'));
    for (const [i, value] of [...expected, (expected[0] + expected[1]) / 2].entries())
      expect(Number(ratios[i].value)).toBeCloseTo(value, 8);
    expect(Number(ratios[0].low)).toBeLessThan(Number(ratios[0].value));
  });

  test('the images themselves are at distance 0, precision and recall 1, in whatever form they come', async () => {
    const folder = join(root, 'folder');
    await maetok('data', path('real'), '--out', folder);
    const { stdout } = await maetok(
      ...['evaluate', folder, '--reference', path('real'), '--features', 'hog', '--bootstrap', '0'],
    );
    expect(value(stdout, 'fd')).toBeLessThan(1e-6);
    expect([value(stdout, 'precision'), value(stdout, 'recall')]).toEqual([1, 1]);
  });

  test('the protocol says what was measured', async () => {
    const out = join(root, 'scores.csv');
    await maetok(
      ...['evaluate', path('near'), '--reference', path('real'), '--features', 'pixels'],
      ...['--metrics', 'kid', '--out', out, '--quiet'],
    );
    expect(rowsOf(readFileSync(out, 'utf8')).map(row => row.metric)).toEqual(['kd']);
    const card = JSON.parse(readFileSync(`${out}.protocol.json`, 'utf8')) as Record<string, unknown>;
    expect(card).toMatchObject({ task: 'generation', features: { name: 'pixels' }, reference: { count: 60 }, seed: 0 });
  });
});

describe('maetok evaluate: reconstructions', () => {
  test('--paired compares image with image; equal ones are perfect', async () => {
    const { code, stdout } = await maetok('evaluate', path('real'), '--reference', path('real'), '--paired');
    expect(code).toBe(0);
    const table = rowsOf(stdout);
    expect(table.filter(row => row.metric === 'ssim').map(row => Number(row.value).toFixed(9))).toEqual(
      Array<string>(4).fill('1.000000000'),
    );
    expect(table[0]).toMatchObject({ metric: 'psnr', variant: 'uint8', value: 'Infinity', features: '' });
  });

  test('--features adds the distance of the two sets, marked as one of reconstructions', async () => {
    const { stdout } = await maetok(
      ...[
        'evaluate',
        path('near'),
        '--reference',
        path('real'),
        '--paired',
        '--features',
        'pixels',
        '--bootstrap',
        '0',
      ],
    );
    expect(rowsOf(stdout).map(row => row.metric)).toEqual(['psnr', 'psnr', 'ssim', 'ssim', 'ssim', 'ssim', 'rfd']);
  });
});

describe('reference batches with statistics', () => {
  test('their means and covariances belong to Inception: other features use their images, or say so', async () => {
    const { images } = await readNpz(path('real'));
    const mu: NdArray = { shape: [2048], dtype: 'float64', data: new Float64Array(2048) };
    const sigma: NdArray = { shape: [2048, 2048], dtype: 'float32', data: new Float32Array(2048 * 2048) };
    const [whole, bare] = [join(root, 'adm.npz'), join(root, 'stats.npz')];
    await writeNpz(whole, { arr_0: images, mu, sigma });
    await writeNpz(bare, { mu, sigma });
    const evaluate = (reference: string) =>
      maetok('evaluate', path('near'), '--reference', reference, '--features', 'pixels', '--metrics', 'fid', '--quiet');
    const plain = await evaluate(path('real'));
    const withStatistics = await evaluate(whole);
    expect(value(withStatistics.stdout, 'fd')).toBeCloseTo(value(plain.stdout, 'fd'), 12);
    const refused = await evaluate(bare);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/stats\.npz: holds statistics of 2048 features, no images; pixels has 192/);
  });

  const file = async (name: string, arrays: Record<string, NdArray>): Promise<string> => {
    await writeNpz(join(root, name), arrays);
    return join(root, name);
  };
  const f64 = (shape: number[], data: Float64Array): NdArray => ({ shape, dtype: 'float64', data });
  const zeros = (...shape: number[]) => f64(shape, new Float64Array(shape.reduce((a, b) => a * b, 1)));

  test('whatever else a file of statistics holds, it is one', async () => {
    const statistics = { mu: zeros(2), sigma: f64([2, 2], Float64Array.of(1, 0, 0, 1)) };
    const scalar: NdArray = { shape: [], dtype: 'int64', data: BigInt64Array.of(50_000n) };
    const further = { mu_clip: zeros(3), sigma_clip: zeros(3, 3), num_images: scalar, x: zeros(4, 2) };
    const reference = await openReference(await file('further.npz', { ...statistics, ...further }), {});
    expect(reference.images).toBeUndefined();
    expect(reference.moments?.pooled).toEqual({ mean: statistics.mu.data, covariance: statistics.sigma.data });
  });

  test('statistics of a wrong shape are refused by name', async () => {
    const flat = await file('flat.npz', { mu: zeros(2), sigma: zeros(4) });
    await expect(openReference(flat, {})).rejects.toThrow(/flat\.npz: sigma is \[4\] but mu has 2 numbers/);
    const square = await file('square.npz', { mu: zeros(2, 2), sigma: zeros(4, 4) });
    await expect(openReference(square, {})).rejects.toThrow(/square\.npz: mu is \[2, 2\]; a mean is \[features\]/);
  });
});

test('images of another size than the reference’s are compared with a warning', async () => {
  const reference = SCENES.replace('16', '32');
  const { code, stderr } = await maetok(
    ...['evaluate', path('near'), '--reference', reference, '--features', 'pixels', '--bootstrap', '0'],
  );
  expect(code).toBe(0);
  expect(stderr).toMatch(/near: images of 16×16 are compared with 32×32 of .*--size/);
});

describe('bad input is one clear line', () => {
  beforeAll(async () => {
    await writeNpz(path('half'), { mu: { shape: [4], dtype: 'float32', data: new Float32Array(4) } });
    const nan: NdArray = { shape: [1], dtype: 'float32', data: new Float32Array([NaN]) };
    await writeNpz(path('nan'), { mu: nan, sigma: nan });
    const one: NdArray = { shape: [1], dtype: 'float32', data: new Float32Array(1) };
    await writeSafetensors(path('other').replace('npz', 'safetensors'), { one });
  });

  test.each([
    ['no features', ['--reference', path('real')], /--features: inception:WEIGHTS gives FID/],
    ['no reference', ['--features', 'hog'], /needs --reference/],
    [
      'a single image',
      ['--reference', path('real'), '--features', 'hog', '--limit', '1'],
      /1 readable images; .* at least 2/,
    ],
    [
      'a missing reference',
      ['--reference', join(root, 'absent'), '--features', 'hog'],
      /absent: no such file or folder/,
    ],
    ['a tokenizer without images', ['--tokenizer', 'x'], /--tokenizer needs --data/],
    [
      'a metric that needs Inception',
      ['--reference', path('real'), '--features', 'hog', '--metrics', 'fid,is'],
      /--metrics is: hog lacks the features/,
    ],
    ['a network that is none', ['--reference', path('real'), '--features', `onnx:${path('real')}`], /ends in \.onnx/],
    ['half of the statistics', ['--reference', path('half'), '--features', 'hog'], /half\.npz: holds mu; .* sigma/],
    ['damaged statistics', ['--reference', path('nan'), '--features', 'hog'], /nan\.npz: mu or sigma holds NaN/],
    [
      'other weights',
      ['--reference', path('real'), '--features', `inception:${path('other').replace('npz', 'safetensors')}`],
      /not the weights of FID’s Inception/,
    ],
    [
      'pairs of different size',
      ['--reference', SCENES.replace('16', '32'), '--paired'],
      /near: has images of 16×16, --reference of 32×32; --size 16 crops both/,
    ],
    [
      'a ratio without its unit',
      ['--reference', path('real'), '--features', 'hog', '--metrics', 'fdr'],
      /--validation/,
    ],
    [
      'a unit that is the reference',
      ['--reference', path('real'), '--features', 'hog', '--validation', path('real'), '--metrics', 'fdr'],
      /--validation .*real\.npz: is --reference itself/,
    ],
    [
      'an input called as the unit is',
      [`validation=${path('far')}`, '--reference', path('real'), '--features', 'hog', '--validation', path('near')],
      /name the input otherwise/,
    ],
    [
      'several extractors of pairs',
      ['--reference', path('real'), '--paired', '--features', 'hog,pixels'],
      /takes one extractor here, 2 were given/,
    ],
    ['pairs of different number', ['--reference', SCENES.replace('60', '59'), '--paired'], /60 images, --reference 59/],
  ])('%s', async (_, args, message) => {
    const { code, stderr } = await maetok('evaluate', path('near'), ...args, '--quiet');
    expect(code).toBe(2);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(message);
  });

  test('an existing table is kept', async () => {
    const out = join(root, 'kept.csv');
    const args = [
      'evaluate',
      path('near'),
      '--reference',
      path('real'),
      '--features',
      'pixels',
      '--out',
      out,
      '--quiet',
    ];
    expect((await maetok(...args)).code).toBe(0);
    const before = readFileSync(out, 'utf8');
    const again = await maetok(...args);
    expect(again.code).toBe(1);
    expect(existsSync(out) && readFileSync(out, 'utf8') === before).toBe(true);
  });
});

(process.env.MAETOK_SLOW ? describe : describe.skip)('the network of FID (MAETOK_SLOW=1)', () => {
  test('fid, sfid, is, precision, recall and kid from synthetic weights; statistics in a file stand for images', async () => {
    const weights = join(root, 'inception.safetensors');
    const made = syntheticWeights({ salt: 'test:', gain: 1.4 }, inceptionShapes());
    const arrays = Object.entries(made).map(([key, { shape, data }]): [string, NdArray] => [
      key,
      { shape, dtype: 'float32', data: data as Float32Array },
    ]);
    await writeSafetensors(weights, Object.fromEntries(arrays));
    const common = ['--features', `inception:${weights}`, '--bootstrap', '0', '--quiet'];
    const limited = await maetok('evaluate', path('near'), '--limit', '8', '--reference', path('real'), ...common);
    expect(limited.stderr).toMatch(/fewer than the 2048 features/);
    const names = ['fid', 'sfid', 'is', 'is', 'precision', 'recall', 'precision', 'recall', 'kid'];
    expect(rowsOf(limited.stdout).map(row => row.metric)).toEqual(names);
    const statistics = join(root, 'inception-stats.npz');
    const identity = Float64Array.from({ length: 2048 ** 2 }, (_, i) => (i % 2049 === 0 ? 1 : 0));
    await writeNpz(statistics, {
      mu: { shape: [2048], dtype: 'float64', data: new Float64Array(2048) },
      sigma: { shape: [2048, 2048], dtype: 'float64', data: identity },
    });
    const known = await maetok('evaluate', path('near'), '--limit', '8', '--reference', statistics, ...common);
    expect(known.stderr).toMatch(/left out for lack of images: sfid, precision-recall, kid/);
    expect(rowsOf(known.stdout)[0]).toMatchObject({ metric: 'fid', images: '8', reference_images: '' });
  }, 300_000);
});

describeWithShared('weights/taesd', 'a real tokenizer', () => {
  test('taef2 reconstructs real images; PSNR with its interval, and a distance by name', async () => {
    const { code, stdout, stderr } = await maetok(
      ...[
        'evaluate',
        '--tokenizer',
        `${SHARED}/weights/taesd/taef2_encoder.safetensors,${SHARED}/weights/taesd/taef2_decoder.safetensors`,
      ],
      ...['--image-size', '128', '--data', `${SHARED}/data/cats-dogs-128`, '--split', 'val', '--limit', '4'],
      ...['--features', 'hog', '--bootstrap', '0', '--batch-size', '2'],
    );
    expect(stderr).not.toMatch(/unexpected/);
    expect(code).toBe(0);
    const [psnr] = rowsOf(stdout);
    expect(Number(psnr.value)).toBeGreaterThan(24);
    expect(Number(psnr.low)).toBeLessThan(Number(psnr.high));
    expect(rowsOf(stdout).map(row => row.metric)).toContain('rfd');
  });
});

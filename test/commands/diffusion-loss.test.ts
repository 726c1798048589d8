import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { readNpz, writeNpz, type NdArray } from '../../src/io/index.js';
import { maetok, maetokByRanks } from '../helpers/cli.js';
import { rowsOf } from '../helpers/csv.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();
const [latents, others, run] = ['latents.npz', 'others.npz', 'run'].map(name => join(root, name));
const [TOKENS, CHANNELS, BINS] = [3, 2, 4];

type Row = Record<string, string>;

/** One Gaussian of unequal variances, so that everything about its floor is known. */
async function writeLatents(path: string, count: number, seed: number): Promise<void> {
  const numbers = new RandomNumbers(seed).for('latents').normals(count * TOKENS * CHANNELS);
  const data = Float32Array.from(numbers, (z, i) => 1 + z * (1 + (i % (TOKENS * CHANNELS))));
  const labels = Int32Array.from({ length: count }, (_, i) => i % 2);
  await writeNpz(path, {
    latents: { shape: [count, TOKENS, CHANNELS], dtype: 'float32', data },
    labels: { shape: [count], dtype: 'int32', data: labels },
  });
}

beforeAll(async () => {
  await writeLatents(latents, 40, 1);
  await writeLatents(others, 20, 2);
  const { code, stderr } = await maetok(
    ...['train', 'sit-tiny', '--latents', latents, '--out', run, '--steps', '2', '--batch-size', '8', '--quiet'],
    ...['--ema', '0.5', '--evaluation-samples', '24', '--bins', String(BINS)],
  );
  expect({ code, stderr }).toMatchObject({ code: 0 });
});

const measured = (...words: string[]) => maetok('diffusion-loss', run, '--quiet', ...words);

describe('maetok diffusion-loss', () => {
  test('on the run’s own latents the numbers of its loss.csv, to the rounding of another batch size', async () => {
    const { code, stdout } = await measured('--latents', latents, '--batch-size', '5');
    expect(code).toBe(0);
    const recorded = rowsOf(readFileSync(join(run, 'loss.csv'), 'utf8')).filter(({ step }) => step === '2');
    const key = ({ split, weights, bin }: Row): string => [split, weights, bin].join();
    const again = new Map(rowsOf(stdout).map(row => [key(row), row]));
    expect([...again.keys()].sort()).toEqual(recorded.map(key).sort());
    expect(again.size).toBe(2 * 2 * (BINS + 1));
    for (const row of recorded)
      for (const column of ['t', 'log_snr', 'loss', 'loss_per_dim', 'target_variance', 'loss_normalised', 'rows'])
        expect(Number(again.get(key(row))![column])).toBeCloseTo(Number(row[column]), 5);
  });

  test('of other latents every row, with a protocol card', async () => {
    const out = join(root, 'others.csv');
    const { code } = await measured('--latents', others, '--weights', 'ema', '--bins', '2', '--out', out);
    expect(code).toBe(0);
    const table = rowsOf(readFileSync(out, 'utf8'));
    expect(table.map(({ split, weights, bin }) => [split, weights, bin])).toEqual([
      ['all', 'ema', '0'],
      ['all', 'ema', '1'],
      ['all', 'ema', 'all'],
    ]);
    expect(existsSync(`${out}.protocol.json`)).toBe(true);
    expect(JSON.parse(readFileSync(`${out}.protocol.json`, 'utf8'))).toMatchObject({
      command: 'diffusion-loss',
      splits: ['all'],
      bins: 2,
      samples_per_bin: 12,
      labels: 'own',
      objective: { path: 'linear', prediction: 'velocity' },
      trained: { times: 'uniform', time_shift: 'none' },
    });
  });

  test.each([2, 3])('%d ranks share the bins and write the table of one, bit for bit', async size => {
    const words = ['diffusion-loss', run, '--latents', latents, '--batch-size', '5', '--quiet'];
    const one = await maetok(...words);
    const [first, ...others] = await maetokByRanks(size, ...words);
    expect(first).toEqual(one);
    for (const other of others) expect(other).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('labels can be hidden', async () => {
    const loss = async (...words: string[]): Promise<number> =>
      Number(rowsOf((await measured('--latents', others, '--weights', 'raw', ...words)).stdout).at(-1)!.loss);
    expect(await loss('--unconditional')).not.toBe(await loss());
  });
});

describe('--floor: the excess over the closed form', () => {
  const mixture = (name: string): string => join(root, `${name}.npz`);
  const fit = (name: string, ...words: string[]) =>
    maetok(
      ...['analyze-gmm', latents, '--components', '1', '--split', '1', '--save-model', mixture(name), '--quiet'],
      ...words,
    );
  const floors = async (name: string): Promise<Row[]> =>
    rowsOf((await measured('--latents', latents, '--weights', 'raw', '--floor', mixture(name))).stdout);

  test('of one Gaussian λ + 1 − (tλ − (1 − t))² / (t²λ + (1 − t)²), in the network’s units', async () => {
    expect((await fit('diag', '--no-pca', '--covariance', 'diag', '--reg-covar', '0')).code).toBe(0);
    const table = await floors('diag');
    const first = table.find(({ bin }) => bin === '1')!;
    expect(Number(first.excess)).toBeCloseTo(Number(first.loss_per_dim) - Number(first.floor), 12);
    // The mixture's variances are over n, those that latents are normalised by over n − 1.
    const data = (await readNpz(latents)).latents.data as Float32Array;
    const width = TOKENS * CHANNELS;
    const [all, each] = [spreads(data, CHANNELS), spreads(data, width)];
    const t = Number(first.t);
    const expected = each.map((variance, j) => {
      const lambda = (variance / all[j % CHANNELS]) * (1 - CHANNELS / data.length);
      return lambda + 1 - (t * lambda - (1 - t)) ** 2 / (t * t * lambda + (1 - t) ** 2);
    });
    expect(Number(first.floor)).toBeCloseTo(expected.reduce((a, b) => a + b) / width, 4);
  });

  test('the same whether the rows were scaled, turned onto all their axes, or taken as they are', async () => {
    const dims = String(TOKENS * CHANNELS);
    expect((await fit('turned', '--dims', dims, '--reg-covar', '0')).code).toBe(0);
    expect((await fit('scaled', '--no-pca', '--reg-covar', '0')).code).toBe(0);
    expect((await fit('plain', '--no-pca', '--no-standardize', '--covariance', 'tied', '--reg-covar', '0')).code).toBe(
      0,
    );
    const [turned, scaled, plain] = await Promise.all(['turned', 'scaled', 'plain'].map(floors));
    const values = (table: Row[]): number[] => table.map(({ floor }) => Number(floor));
    expect(values(turned)).toBeAllClose(values(plain), { rtol: 1e-6 });
    expect(values(scaled)).toBeAllClose(values(plain), { rtol: 1e-6 });
  });

  test('the same columns in loss.csv of a training that is given the mixture', async () => {
    await fit('known', '--no-pca', '--covariance', 'diag', '--reg-covar', '0');
    const out = join(root, 'floored');
    const { code, stderr } = await maetok(
      ...['train', 'sit-tiny', '--latents', latents, '--out', out, '--steps', '2', '--batch-size', '8', '--quiet'],
      ...['--ema', '0.5', '--evaluation-samples', '24', '--bins', String(BINS), '--floor', mixture('known')],
    );
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const trained = rowsOf(readFileSync(join(out, 'loss.csv'), 'utf8')).filter(({ weights }) => weights === 'raw');
    const later = await floors('known');
    for (const column of ['floor', 'excess'])
      expect(trained.map(row => Number(row[column]))).toBeAllClose(
        later.map(row => Number(row[column])),
        { rtol: 1e-5 },
      );
  });

  test('a mixture that leaves axes out is refused', async () => {
    await fit('few', '--dims', '2');
    const { code, stderr } = await measured('--latents', latents, '--floor', mixture('few'));
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /its mixture has 2 dimensions, but a row of these latents has 6; fit a mixture to all dimensions/,
    );
  });
});

describe('bad input is one clear line', () => {
  test.each([
    ['latents of another shape', () => [run, '--latents', join(root, 'wide.npz')], /are 3×4, .* was trained on 3×2/],
    ['no run', () => [join(root, 'absent'), '--latents', latents], /no such run folder or weights file/],
    ['no latents', () => [run], /--latents is required/],
    ['a class out of range', () => [run, '--latents', join(root, 'classes.npz')], /class/],
  ])('%s', async (_, words, message) => {
    const count = 4;
    const blank = (channels: number, labels: number[]) =>
      ({
        latents: {
          shape: [count, TOKENS, channels],
          dtype: 'float32',
          data: new Float32Array(count * TOKENS * channels),
        },
        labels: { shape: [count], dtype: 'int32', data: Int32Array.from(labels) },
      }) satisfies Record<string, NdArray>;
    await writeNpz(join(root, 'wide.npz'), blank(4, [0, 1, 0, 1]), { force: true });
    await writeNpz(join(root, 'classes.npz'), blank(CHANNELS, [0, 1, 0, 7]), { force: true });
    const { code, stderr } = await maetok('diffusion-loss', ...words());
    expect(code).toBe(2);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(message);
  });
});

/** Variance of each coordinate of rows [n, width], over n. */
function spreads(data: Float32Array, width: number): number[] {
  return Array.from({ length: width }, (_, j) => {
    const column = data.filter((_, i) => i % width === j);
    const mean = column.reduce((a, b) => a + b, 0) / column.length;
    return column.reduce((sum, x) => sum + (x - mean) ** 2, 0) / column.length;
  });
}

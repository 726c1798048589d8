import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { writeNpz } from '../../src/io/index.js';
import { maetok } from '../helpers/cli.js';
import { rowsOf } from '../helpers/csv.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();
const path = (name: string): string => join(folder, `${name}.npz`);

/** Latents [rows, 4 tokens, 3 channels] whose class shifts one channel of all tokens by `gap`. */
async function latents(name: string, { rows = 200, gap = 4, seed = 0, labelled = true } = {}): Promise<void> {
  const random = new RandomNumbers(seed);
  const labels = random.for('labels').integers(rows, 3);
  const data = random.for('data').normals(rows * 12);
  labels.forEach((label, row) => {
    for (let t = 0; t < 4; t++) data[row * 12 + 3 * t + label] += gap;
  });
  await writeNpz(path(name), {
    latents: { shape: [rows, 4, 3], dtype: 'float32', data },
    ...(labelled ? { labels: { shape: [rows], dtype: 'int32', data: labels } } : {}),
  });
}

/** Latents [200, 40]: the classes lie in three axes of large variance, the others hold little noise. */
async function writeWide(name: string): Promise<void> {
  const random = new RandomNumbers(5);
  const labels = random.for('labels').integers(200, 3);
  const data = random.for('data').normals(200 * 40);
  labels.forEach((label, row) => (data[row * 40 + label] += 6));
  await writeNpz(path(name), {
    latents: { shape: [200, 40, 1], dtype: 'float32', data },
    labels: { shape: [200], dtype: 'int32', data: labels },
  });
}

beforeAll(async () => {
  await latents('clear');
  await latents('clear-test', { seed: 1 });
  await latents('blurred', { gap: 0.2 });
  await latents('unlabelled', { labelled: false });
});

describe('maetok probe', () => {
  it('ranks latent spaces by how well a classifier reads the class from them', async () => {
    const { code, stdout } = await maetok('probe', `clear=${path('clear')}`, `blurred=${path('blurred')}`, '--quiet');
    expect(code).toBe(0);
    const rows = rowsOf(stdout);
    // 2 sources × 2 features × 2 probes.
    expect(rows).toHaveLength(8);
    const accuracy = (source: string): number[] =>
      rows.filter(row => row.source === source).map(row => Number(row.accuracy));
    expect(Math.min(...accuracy('clear'))).toBeGreaterThan(0.9);
    expect(Math.max(...accuracy('blurred'))).toBeLessThan(0.7);
    for (const { accuracy, accuracy_low, accuracy_high } of rows) {
      expect(Number(accuracy_low)).toBeLessThanOrEqual(Number(accuracy));
      expect(Number(accuracy_high)).toBeGreaterThanOrEqual(Number(accuracy));
    }
  });

  it('tests on latents of their own, and with shuffled labels shows chance', async () => {
    const { stdout } = await maetok(
      ...['probe', path('clear'), '--test', path('clear-test'), '--feature', 'mean', '--probe', 'logistic'],
      ...['--control', 'none,shuffled-labels', '--quiet'],
    );
    const [real, control] = rowsOf(stdout);
    expect(real).toMatchObject({ source: 'clear', control: 'none', train_rows: '200', test_rows: '200', dims: '3' });
    expect(Number(real.accuracy)).toBeGreaterThan(0.9);
    expect(Number(control.accuracy)).toBeLessThan(0.6);
  });

  it('brings spaces of different sizes to the same number of dimensions', async () => {
    await writeWide('wide');
    const { stdout } = await maetok(
      ...['probe', path('clear'), path('wide'), '--feature', 'flattened', '--probe', 'logistic', '--quiet'],
      ...['--control', 'none,random-projection,pca'],
    );
    const rows = rowsOf(stdout);
    expect(rows.map(({ source, control, dims }) => [source, control, dims])).toEqual([
      ['clear', 'none', '12'],
      ['clear', 'random-projection', '12'],
      ['clear', 'pca', '12'],
      ['wide', 'none', '40'],
      ['wide', 'random-projection', '12'],
      ['wide', 'pca', '12'],
    ]);
    // All variance in a few axes: those keep the classes, mixtures of all 40 lose some of them.
    const accuracy = (control: string) =>
      Number(rows.find(row => row.source === 'wide' && row.control === control)!.accuracy);
    expect(accuracy('pca')).toBeGreaterThan(0.9);
    expect(accuracy('random-projection')).toBeLessThanOrEqual(accuracy('none') + 0.03);
  });

  it('warns if rows vary along fewer axes than a projection should keep', async () => {
    const { code, stdout, stderr } = await maetok(
      ...['probe', path('clear'), '--feature', 'mean', '--probe', 'knn', '--control', 'pca', '--dims', '5'],
    );
    expect([code, rowsOf(stdout)[0].dims]).toEqual([0, '3']);
    expect(stderr).toMatch(/clear: control pca: its \d+ rows vary along only 3 of the 5 requested axes/);
  });

  it('leaves out neighbour counts beyond the training rows, and names them', async () => {
    await latents('few', { rows: 24 });
    const { code, stdout, stderr } = await maetok(
      ...['probe', path('few'), '--feature', 'mean', '--probe', 'knn', '--neighbours', '3,50'],
    );
    expect([code, rowsOf(stdout).map(row => row.setting)]).toEqual([0, ['k=3']]);
    expect(stderr).toMatch(/few: has \d+ training rows; no nearest-neighbour probe with k = 50/);
  });

  it('reports no row of a probe whose neighbour counts are all beyond the training rows', async () => {
    await latents('fewer', { rows: 24 });
    const { code, stdout } = await maetok(
      ...['probe', path('fewer'), '--feature', 'mean', '--probe', 'logistic,knn', '--neighbours', '50', '--quiet'],
    );
    expect([code, rowsOf(stdout).map(row => row.probe)]).toEqual([0, ['logistic']]);
  });

  it('a single space has nothing to match the dimensions of, unless they are given', async () => {
    const alone = ['probe', path('clear'), '--feature', 'flattened', '--probe', 'knn', '--control', 'pca', '--quiet'];
    const { code, stderr } = await maetok(...alone);
    expect(code).toBe(2);
    expect(stderr).toMatch(/--control pca: with a single space .*--dims N/);
    const { stdout } = await maetok(...alone, '--dims', '3');
    expect(rowsOf(stdout)).toMatchObject([{ dims: '3', setting: 'k=20' }]);
  });

  it('probes raw pixels as well as latents, and warns if they are other images', async () => {
    const { code, stdout, stderr } = await maetok(
      ...['probe', path('clear'), '--pixels', 'synthetic:scenes?count=60&size=16', '--pixels-size', '16'],
      ...['--feature', 'flattened', '--probe', 'knn', '--neighbours', '1'],
    );
    expect(code).toBe(0);
    expect(rowsOf(stdout)).toMatchObject([
      { source: 'clear', dims: '12' },
      { source: 'pixels', dims: '768', train_rows: '48', test_rows: '12' },
    ]);
    expect(stderr).toMatch(/pixels: 60 images, but clear has 200 rows/);
  });

  it('REPA’s probe sees token means, once', async () => {
    const { stdout } = await maetok('probe', path('clear'), '--probe', 'repa', '--feature', 'flattened', '--quiet');
    const [row, ...others] = rowsOf(stdout);
    expect(others).toHaveLength(0);
    expect(row).toMatchObject({ feature: 'mean', probe: 'repa', dims: '3' });
    expect(Number(row.accuracy)).toBeGreaterThan(0.9);
  });

  it('tells which class is taken for which', async () => {
    const [perClass, confusion] = [join(folder, 'classes.csv'), join(folder, 'confusion.csv')];
    const { stdout } = await maetok(
      ...['probe', path('blurred'), '--feature', 'mean', '--probe', 'logistic', '--quiet'],
      ...['--per-class', perClass, '--confusion', confusion],
    );
    const [{ accuracy, test_rows }] = rowsOf(stdout);
    const classes = rowsOf(readFileSync(perClass, 'utf8'));
    expect(classes.map(row => row.class)).toEqual(['0', '1', '2']);
    const sum = (rows: Record<string, string>[], value: (row: Record<string, string>) => number): number =>
      rows.reduce((total, row) => total + value(row), 0);
    expect(sum(classes, row => Number(row.test_rows))).toBe(Number(test_rows));
    const right = sum(classes, row => Number(row.accuracy) * Number(row.test_rows));
    expect(right / Number(test_rows)).toBeCloseTo(Number(accuracy), 9);
    const cells = rowsOf(readFileSync(confusion, 'utf8'));
    expect(cells).toHaveLength(9);
    const diagonal = cells.filter(row => row.class === row.taken_for);
    expect(diagonal.map(row => row.share)).toEqual(classes.map(row => row.accuracy));
  });

  it('writes a file with its protocol next to it', async () => {
    const out = join(folder, 'probe.csv');
    await maetok(
      'probe',
      path('clear'),
      '--probe',
      'knn',
      '--neighbours',
      '1,5',
      '--out',
      out,
      '--seed',
      '3',
      '--quiet',
    );
    expect(rowsOf(readFileSync(out, 'utf8')).map(row => row.setting)).toEqual(['k=1', 'k=5', 'k=1', 'k=5']);
    expect(JSON.parse(readFileSync(`${out}.protocol.json`, 'utf8'))).toMatchObject({ command: 'probe', seed: 3 });
  });

  it.each([
    [
      'no labels',
      ['unlabelled'],
      /unlabelled: has no labels.*a subfolder per class, or give an array file .* `labels`/,
    ],
    ['a missing file', ['missing'], /missing/],
  ])('%s: one line, exit 2, nothing written', async (_, [name], message) => {
    const out = join(folder, 'none.csv');
    const { code, stderr } = await maetok('probe', path(name), '--out', out, '--quiet');
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(existsSync(out)).toBe(false);
  });

  it('a probe that does not exist is refused with those that do', async () => {
    const { code, stderr } = await maetok('probe', path('clear'), '--probe', 'linear');
    expect(code).toBe(2);
    expect(stderr).toMatch(/--probe/);
    expect(stderr).toMatch(/logistic/);
  });
});

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import type { Communicator } from '../../src/distributed/index.js';
import { writeNpz } from '../../src/io/index.js';
import { maetok, maetokByRanks, maetokWith } from '../helpers/cli.js';
import { asRanks } from '../helpers/ranks.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();
const path = (name: string): string => join(folder, `${name}.npz`);
const ROWS = 300;

/** Latents [rows, 2 tokens, 3 channels]; `directions` of the six vary, and the class shifts the first by `gap`. */
async function latents(
  name: string,
  { directions = 6, gap = 0, labelled = true, rows = ROWS, classes = 2 } = {},
): Promise<void> {
  const random = new RandomNumbers(1);
  const labels = random.for('labels').integers(rows, classes);
  const data = random.for('data').normals(rows * 6);
  for (let at = 0; at < data.length; at++) if (at % 6 >= directions) data[at] *= 0.01;
  labels.forEach((label, row) => {
    data[row * 6] += gap * label;
  });
  await writeNpz(path(name), {
    latents: { shape: [rows, 2, 3], dtype: 'float32', data },
    ...(labelled ? { labels: { shape: [rows], dtype: 'int32', data: labels } } : {}),
  });
}

/** Latents of three classes on a grid, and foreground masks of their images. */
async function griddedLatents(name: string, foreground: string): Promise<void> {
  const random = new RandomNumbers(3);
  const labels = Int32Array.from({ length: 36 }, (_, row) => row % 3);
  const grid = { shape: [36, 3, 16, 16], dtype: 'float32' as const, data: random.normals(36 * 768) };
  await writeNpz(path(name), { latents: grid, labels: { shape: [36], dtype: 'int32', data: labels } });
  const masks = { shape: [36, 16, 16], dtype: 'uint8' as const, data: new Uint8Array(36 * 256) };
  masks.data.forEach((_, at) => (masks.data[at] = at % 16 < 6 ? 1 : 0));
  await writeNpz(path(foreground), { masks });
}

beforeAll(async () => {
  await griddedLatents('gridded', 'foreground');
  await latents('round');
  await latents('flat', { directions: 2 });
  await latents('apart', { gap: 8 });
  await latents('unlabelled', { labelled: false });
  await latents('few', { rows: 290 });
  await latents('alone', { rows: 40, classes: 1 });
});

type Values = Record<string, number>;

/** measure (and setting) → value of one source. */
function valuesOf(csv: string, source: string): Values {
  const lines = csv.trim().split('\n').slice(1);
  const cells = lines.map(line => line.split(','));
  return Object.fromEntries(
    cells.filter(([from]) => from === source).map(([, , measure, value]) => [measure, Number(value)]),
  );
}

describe('maetok diagnose', () => {
  it('leaves out what needs several classes where there is one, with a word', async () => {
    const run = (measure: string) => maetok('diagnose', `alone=${path('alone')}`, '--measure', measure, '--quiet');
    const { code, stdout, stderr } = await run('diffusability,classes');
    expect(code).toBe(0);
    expect(Object.keys(valuesOf(stdout, 'alone'))).toEqual(['viv', 'viv_all_dims', 'viv_size_corrected', 'rmsc']);
    expect(stderr).toMatch(/alone: all images are of one class, so LNC is left out/);
    expect(stderr).toMatch(/VIV is that without a class, and the within-class share is left out/);
    expect(stderr).toMatch(/all rows have the same label, so measures of its classes are skipped/);
    const only = await run('classes');
    expect(only.code).toBe(2);
    expect(only.stderr.trim()).toMatch(/^maetok: alone: all rows have the same label; .*$/);
  });

  it('tells a flat latent space from a round one, and classes that stand apart from those that do not', async () => {
    const { code, stdout, stderr } = await maetok(
      ...['diagnose', `round=${path('round')}`, `flat=${path('flat')}`, `apart=${path('apart')}`, '--quiet'],
      ...['--measure', 'spectrum,dimension,isotropy,tokens,classes'],
    );
    expect([code, stderr]).toEqual([0, '']);
    const [round, flat, apart] = ['round', 'flat', 'apart'].map(source => valuesOf(stdout, source));
    expect(round.effective_rank).toBeGreaterThan(5.5);
    expect(flat.effective_rank).toBeLessThan(2.1);
    expect(flat.twonn).toBeLessThan(round.twonn);
    expect(flat.iso_score).toBeLessThan(round.iso_score);
    expect(apart.silhouette).toBeGreaterThan(0.4);
    expect(Math.abs(round.silhouette)).toBeLessThan(0.05);
    expect(apart.fisher_ratio).toBeGreaterThan(10 * round.fisher_ratio);
  });

  it('alignment is 1 with itself', async () => {
    const { stdout } = await maetok(
      ...['diagnose', path('round'), '--features', path('round'), '--measure', 'alignment', '--quiet'],
    );
    expect(stdout).toMatch(/round,alignment,cknna,(1|0\.99999\d*),flattened k=10,300/);
    expect(stdout).toMatch(/round,alignment,mutual_neighbours,1,flattened k=10,300/);
    expect(stdout).toMatch(/mean k=10/);
  });

  it('evenness of tokens, the same again from the same seed, with its protocol beside the file', async () => {
    const out = join(folder, 'diagnose.csv');
    const args = ['diagnose', path('round'), '--measure', 'uniformity', '--positions', '120', '--quiet'];
    const { stdout } = await maetok(...args);
    expect(valuesOf(stdout, 'round').density_entropy).toBeGreaterThan(0.9);
    await maetok(...args, '--out', out);
    expect(readFileSync(out, 'utf8')).toBe(stdout);
    const card = JSON.parse(readFileSync(`${out}.protocol.json`, 'utf8')) as Record<string, unknown>;
    expect(card).toMatchObject({ command: 'diagnose', positions: 120, seed: 0 });
    expect((card.sources as Record<string, string>).round).toMatch(/^[0-9a-f]{64}$/);
  });

  it('what predicts generation: all of a labelled grid, of a sequence what it has, by name', async () => {
    const random = new RandomNumbers(2);
    const shape = [40, 3, 16, 16];
    const grid = { shape, dtype: 'float32' as const, data: random.for('grid').normals(40 * 768) };
    const labels = { shape: [40], dtype: 'int32' as const, data: Int32Array.from({ length: 40 }, (_, row) => row % 2) };
    const masks = { shape: [40, 32, 32], dtype: 'uint8' as const, data: new Uint8Array(40 * 1024) };
    masks.data.forEach((_, at) => (masks.data[at] = (at % 32) / 16));
    await writeNpz(path('grid'), { latents: grid, labels });
    await writeNpz(path('masks'), { masks });
    const run = async (...args: string[]) => await maetok('diagnose', ...args, '--measure', 'diffusability');
    const whole = await run(path('grid'), '--masks', path('masks'));
    expect(whole.code).toBe(0);
    const measured = valuesOf(whole.stdout, 'grid');
    for (const measure of ['viv', 'viv_all_dims', 'within_class_share', 'lnc', 'sec', 'lds', 'cds', 'rmsc', 'srss'])
      expect(measured[measure]).toEqual(expect.any(Number));
    expect(whole.stderr).toMatch(/2 of 2 classes have fewer than 86 rows \(the smallest 20\).*inflates viv/);
    expect(whole.stdout).toMatch(/lds,[^,]+,px of 256 near<=24 far>=96,40/);
    const sequence = await run(path('round'));
    expect(sequence.stderr).toMatch(/round: its tokens are not a grid, so SEC, .*SRSS are left out/);
    expect(Object.keys(valuesOf(sequence.stdout, 'round'))).toEqual(
      ...[['viv', 'viv_all_dims', 'viv_size_corrected', 'within_class_share', 'lnc', 'rmsc']],
    );
    const unlabelled = await run(path('unlabelled'));
    expect(unlabelled.stderr).toMatch(/unlabelled: has no labels, so VIV and LNC are left out/);
    const wrong = await run(path('grid'), '--limit', '30', '--masks', path('round'));
    expect([wrong.code, wrong.stdout]).toEqual([2, '']);
    expect(wrong.stderr).toMatch(/masks are expected as 'masks'/);
  });

  it.each([2, 3])(
    'measures over %i ranks what one process does, to six digits, and rank 0 alone writes it',
    async size => {
      const words = [
        'diagnose',
        path('gridded'),
        '--features',
        path('gridded'),
        '--masks',
        path('foreground'),
        '--quiet',
      ];
      const one = await maetok(...words);
      const [first, ...others] = await maetokByRanks(size, ...words);
      for (const other of others) expect(other).toEqual({ code: 0, stdout: '', stderr: '' });
      expect([first.code, first.stderr]).toEqual([one.code, one.stderr]);
      const [expected, found] = [one, first].map(({ stdout }) =>
        stdout
          .trim()
          .split('\n')
          .map(line => line.split(',')),
      );
      const named = (cells: string[][]) => cells.map(([source, group, measure]) => [source, group, measure]);
      expect(named(found)).toEqual(named(expected));
      const values = (cells: string[][]) => cells.slice(1).map(([, , , value]) => Number(value));
      expect(values(found)).toBeAllClose(values(expected), { rtol: 1e-6, atol: 1e-9 });
    },
  );

  it.each([
    ['other latents', ['round', 'apart'], [], /x: the digest is not the same for all ranks/],
    [
      'another seed',
      ['round', 'round'],
      ['--seed', '1'],
      /“seed” is not the same for all ranks: 0 for rank 0, 1 for rank 1/,
    ],
    ['other measures', ['round', 'round'], ['--measure', 'tokens'], /“measure” is not the same for all ranks/],
  ])('refuses ranks that were started with %s', async (_, names, others, message) => {
    const run = ({ rank, ...rest }: Communicator) =>
      maetokWith(
        { communicator: { rank, ...rest } },
        ...['diagnose', `x=${path(names[rank])}`, ...(rank > 0 ? others : []), '--quiet'],
      );
    const [{ code, stdout, stderr }] = await asRanks(2, run);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });

  it('without labels says nothing of classes, and says so', async () => {
    const { code, stdout, stderr } = await maetok('diagnose', path('unlabelled'), '--measure', 'spectrum,classes');
    expect(code).toBe(0);
    expect(stdout).not.toMatch(/silhouette/);
    expect(stderr).toMatch(/unlabelled: has no labels/);
    expect(stderr).not.toMatch(/(classes|alignment) measured/);
  });

  it.each([
    ['labels that were asked for', ['unlabelled', '--measure', 'classes'], /unlabelled: has no labels.*subfolder/],
    ['features of other images', ['round', '--features', path('few')], /290 rows, round 300.*same order/],
    ['features that are not there', ['round', '--measure', 'alignment'], /needs --features/],
    ['one neighbour', ['round', '--neighbours', '1'], /neighbours/],
  ])('%s: one line, exit 2, nothing written', async (_, [name, ...rest], message) => {
    const out = join(folder, 'none.csv');
    const { code, stderr } = await maetok('diagnose', path(name), ...rest, '--out', out, '--quiet');
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(existsSync(out)).toBe(false);
  });
});

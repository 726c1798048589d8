import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { explanations, omissions, PUBLISHED, scoreboard } from '../../src/jobs/scoreboard/scoreboard.js';
import { partialInterval, partialSpearman } from '../../src/statistics/index.js';
import { kendall, permutationTest, ranks, spearman, spearmanInterval } from '../../src/statistics/rank-correlation.js';
import { parseTable, readTable } from '../../src/report/index.js';

const random = new RandomNumbers(0, 'test');

describe('rank correlation', () => {
  const x = [0.85, 0.64, 1.01, 1.15, 0.43, 0.96, 0.67];
  const two = [1, 1, 1, 0, 1, 0, 0];
  const y = [5.78, 8.44, 6.85, 17.18, 9.88, 18.23, 24.47];

  test('equal values share their mean rank', () => {
    expect(ranks([3, 1, 3, 2])).toEqual([3.5, 1, 3.5, 2]);
  });

  // scipy 1.17: spearmanr, kendalltau, and permutation_test of spearmanr over all pairings
  test.each([
    ['without ties', x, 0, -0.04761904761904762, 1],
    ['with ties', two, -0.8660254037844388, -0.7559289460184545, 0.05714285714285714],
  ])('agrees with SciPy %s', (_, values, rho, tau, p) => {
    expect(spearman(values, y)).toBeCloseTo(rho, 12);
    expect(kendall(values, y)).toBeCloseTo(tau, 12);
    expect(permutationTest(values, y, random).p).toBeCloseTo(p, 12);
  });

  test('the least p that n different values can have is 2 of all n! orders', () => {
    expect(permutationTest([1, 2, 3], [5, 1, 2], random).least).toBeCloseTo(2 / 6, 12);
    expect(permutationTest([1, 2, 3, 4, 5], [5, 1, 2, 9, 3], random).least).toBeCloseTo(2 / 120, 12);
  });

  test('of many rows random pairings come near to what all of them give', () => {
    const rows = Array.from({ length: 12 }, (_, i) => i);
    const others = [2, 0, 4, 1, 7, 3, 5, 11, 6, 10, 8, 9];
    // The t distribution's p of r = 0.825 with 10 degrees of freedom is 0.00095.
    const { p } = permutationTest(rows, others, random);
    expect(p).toBeGreaterThan(1e-4);
    expect(p).toBeLessThan(3e-3);
  });

  test('intervals: near Bonett and Wright’s of many rows, wide of few even where they agree perfectly', () => {
    const rows = Array.from({ length: 24 }, (_, i) => i);
    const noisy = Array.from(random.for('noise').normals(24), (value, i) => i + 8 * value);
    const rho = spearman(rows, noisy);
    const reach = 1.96 * Math.sqrt((1 + rho ** 2 / 2) / 21);
    const [low, high] = spearmanInterval(rows, noisy, random);
    expect(Math.abs(low - Math.tanh(Math.atanh(rho) - reach))).toBeLessThan(0.08);
    expect(Math.abs(high - Math.tanh(Math.atanh(rho) + reach))).toBeLessThan(0.08);
    const [least, most] = spearmanInterval([1, 2, 3, 4, 5], [10, 20, 30, 40, 50], random);
    expect(most).toBe(1);
    expect(least).toBeGreaterThan(0);
    expect(least).toBeLessThan(0.5);
    expect(spearmanInterval([1, 2, 3, 4], [10, 20, 30, 40], random)[0]).toBeLessThan(0);
  });
});

describe('partial rank correlation', () => {
  const [x, y] = [
    [3, 1, 4, 1, 5, 9, 2, 6, 5],
    [2, 7, 1, 8, 2, 8, 1, 8, 3],
  ];
  const controls = [
    [1, 2, 2, 3, 4, 4, 6, 7, 7],
    [5, 3, 8, 1, 9, 2, 6, 4, 7],
  ];

  // Pearson's correlation of the residuals of SciPy's ranks under NumPy's lstsq
  test.each([
    ['nothing', [], spearman(x, y)],
    ['one column', controls.slice(0, 1), 0.12808759062566746],
    ['two columns', controls, 0.5352445113851249],
    ['the same column twice', [controls[0], controls[0]], 0.12808759062566746],
  ])('with %s held fixed', (_, fixed, expected) => {
    expect(partialSpearman(x, y, fixed)).toBeCloseTo(expected, 12);
  });

  test('of a column that is itself held fixed nothing is left', () => {
    expect(partialSpearman(x, y, [x])).toBeNaN();
    expect(partialInterval(0.5, 5, 2)).toBeUndefined();
  });
});

describe('scoreboard', () => {
  test('with columns held fixed and groups left out: one group may make the whole correlation', () => {
    const rows = [
      ...[3, 1, 2].map((gfid, i) => `a${i},a,${i},${gfid},1`),
      ...[3, 1, 2].map((gfid, i) => `b${i},b,${i},${gfid},2`),
      ...[30, 31, 32].map((gfid, i) => `c${i},c,${10 + i},${gfid},3`),
    ];
    const table = parseTable(['tokenizer,family,viv,gfid,dims', ...rows].join('\n'), 't.csv');
    const [row] = scoreboard(table, { measures: ['viv'], partial: ['dims'], leaveOut: 'family', seed: 0 });
    expect(row).toMatchObject({ weakest_without: 'c', partial_tokenizers: 9 });
    expect(row.spearman).toBeGreaterThan(0.5);
    expect(row.leave_out_low).toBeLessThan(0);
    expect(row.partial).toBeLessThan(row.spearman!);
    const settings = { measures: ['viv'], seed: 0 };
    expect(() => scoreboard(table, { ...settings, leaveOut: 'kind' })).toThrow(/has no column 'kind'/);
    expect(() => scoreboard(table, { ...settings, partial: ['family'] })).toThrow(/no numbers in a column 'family'/);
  });

  const line = (i: number): string => `t${i},${i},${[3, 1, 2, 6, 4, 5][i]},${i * i},${i + 1}`;
  const table = parseTable(`name,good,poor,gfid,good_low\n${[0, 1, 2, 3, 4, 5].map(line).join('\n')}`, 'table.csv');

  test('the other columns of a study’s summary are not measures', () => {
    const columns = [
      'gain',
      'nll_dims',
      'nll_components',
      'probe_dims',
      'diffusion_step',
      'generation_images',
      'seeds',
    ];
    const rows = [1, 2, 3, 4].map(i => [i, ...columns.map((_, j) => i * (j + 1))].join(','));
    const summary = parseTable(`gfid,${columns.join(',')}\n${rows.join('\n')}`, 'summary.csv');
    expect(scoreboard(summary, { seed: 0 }).map(({ measure }) => measure)).toEqual(['gain']);
  });

  const [good, poor] = scoreboard(table, { seed: 0 });

  test('a measure that orders tokenizers as gFID does correlates', () => {
    expect(good).toMatchObject({ measure: 'good', target: 'gfid', tokenizers: 6, spearman: 1, verdict: 'correlates' });
    expect(good.p_holm).toBeCloseTo((2 * 2) / 720, 12);
  });

  test('a measure that orders them otherwise is undecided', () => {
    expect(poor).toMatchObject({ measure: 'poor', verdict: 'undecided' });
  });

  test('columns are named by options', () => {
    expect(scoreboard(table, { target: 'poor', measures: ['gfid'], seed: 0 })).toHaveLength(1);
  });

  test('an absent column is refused by name', () => {
    expect(() => scoreboard(table, { target: 'is', seed: 0 })).toThrow(/table\.csv: lacks numbers in a column 'is'/);
    expect(() => scoreboard(table, { measures: ['nll'], seed: 0 })).toThrow(/no numbers in a column 'nll'/);
    expect(() => scoreboard(parseTable('a,b\n1,2', 'x.csv'), { seed: 0 })).toThrow(/any of the columns gfid/);
    expect(() => scoreboard(parseTable('probe,gfid\n1,2', 'one.csv'), { seed: 0 })).toThrow(
      /one\.csv: no measure varies/,
    );
  });

  test('values that are not finite are left out of their measure, and every skipped measure is named', () => {
    const rows = ['5,1,20,1,x', '4,2,inf,1,2', '3,3,22,1,3', '2.5,2.5,25,1,4', '2,4,26,1,5'].map(
      (row, i) => `${i},${row}`,
    );
    const table = parseTable(`,gfid,rfid,psnr,same,odd\n${rows.join('\n')}\n`, 'board.csv');
    const board = scoreboard(table, { seed: 0 });
    expect(board.map(({ measure, tokenizers }) => [measure, tokenizers])).toEqual([
      ['rfid', 5],
      ['psnr', 4],
    ]);
    expect(omissions(table, { seed: 0 }, board)).toEqual([
      'psnr: judged on its 4 finite values; 1 left out (Infinity)',
      "same: not judged, it does not vary where 'gfid' has numbers",
      "odd: not judged, it contains text ('x')",
    ]);
  });

  test('the arena’s published numbers give iFID’s rank correlations as published, per generator', async () => {
    const arena = await readTable(fileURLToPath(new URL('../../studies/ifid-arena.csv', import.meta.url)));
    const rows = scoreboard(arena, { seed: 0 });
    expect(rows.map(({ setting, measure, tokenizers }) => [setting, measure, tokenizers])).toEqual([
      ['SiT-XL', 'ifid', 14],
      ['SiT-B', 'ifid', 13],
    ]);
    expect(rows.map(({ spearman }) => Number(spearman!.toFixed(3)))).toEqual([0.881, 0.83]);
    expect(rows.every(({ verdict }) => verdict === 'correlates')).toBe(true);
  });

  test('the study of tiny tokenizers: fidelity orders what they generate, and with it held fixed nothing is certain', async () => {
    const table = await readTable(fileURLToPath(new URL('../../studies/predictors-tiny.csv', import.meta.url)));
    const measures = ['interpolation_ifd', 'gain', 'viv'];
    const rows = scoreboard(table, { seed: 0, measures, partial: ['dims', 'reconstruction_distance'] });
    expect(rows.map(({ spearman }) => Number(spearman!.toFixed(2)))).toEqual([0.98, 0.72, -0.19]);
    for (const { partial_low, partial_high } of rows) expect(partial_low! * partial_high!).toBeLessThan(0);
  });

  test('values that are tied are no lack of tokenizers', () => {
    const rows = scoreboard(parseTable('tokenizer,mask,fid\na,0,1\nb,0,2\nc,0,3\nd,0,4\ne,0,5\nf,1,6\n', 'table'), {
      seed: 0,
      target: 'fid',
    });
    expect(explanations(rows)).toEqual([
      expect.stringMatching(
        /^6 tokenizers have too many equal values for mask: .*; 5 with different values are enough/,
      ),
    ]);
  });

  test('the published numbers: settings are kept apart, and three tokenizers are reported as too few', async () => {
    const published = await readTable(PUBLISHED);
    const rows = scoreboard(published, { seed: 0 });
    const probe = rows.find(({ measure }) => measure === 'probe')!;
    expect(probe).toMatchObject({ tokenizers: 3, spearman: -1, verdict: 'too few' });
    expect(rows.filter(({ measure }) => measure === 'rfid').map(({ tokenizers }) => tokenizers)).toEqual([3, 7]);
    expect(explanations(rows)[0]).toMatch(/3 tokenizers are too few for tokens, probe, rfid/);
    expect(published.rows.every(({ origin }) => String(origin).length > 0)).toBe(true);
  });
});

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { isFirstLeft } from '../../src/jobs/compare-images/compare.js';
import { signTest } from '../../src/jobs/compare-images/judgments.js';
import type { PageContent } from '../../src/jobs/compare-images/page.js';
import { maetok } from '../helpers/cli.js';
import { rowsOf } from '../helpers/csv.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();
const [good, bad, page] = ['good.npz', 'bad.npz', 'page.html'].map(name => join(root, name));
const part = (html: string, tag: RegExp): string => tag.exec(html)![1];
const contentOf = (html: string): PageContent =>
  JSON.parse(part(html, /<script type="application\/json" id="content">(.*?)<\/script>/s)) as PageContent;

beforeAll(async () => {
  await maetok('data', 'synthetic:scenes?count=30&size=16', '--out', good, '--quiet');
  await maetok('data', 'synthetic:scenes?count=30&size=16&seed=3', '--out', bad, '--quiet');
  const { code, stderr } = await maetok(
    'compare-images',
    `the "good"=${good}`,
    `bad=${bad}`,
    '--num',
    '20',
    '--out',
    page,
  );
  expect({ code, stderr }).toMatchObject({ code: 0 });
});

describe('the page', () => {
  test('needs nothing but itself and tells nobody which side is whose', () => {
    const html = readFileSync(page, 'utf8');
    expect(html).toMatch(/default-src 'none'/);
    expect(html).not.toMatch(/https?:/);
    const { pairs, a, b } = contentOf(html);
    expect([a, b]).toEqual(['the "good"', 'bad']);
    expect(pairs).toHaveLength(20);
    expect(new Set(pairs.map(({ pair }) => pair)).size).toBe(20);
    for (const pair of pairs) expect(Object.keys(pair).sort()).toEqual(['left', 'pair', 'right']);
  });

  test('order and sides are drawn by seed and by nothing else', async () => {
    const again = join(root, 'again.html');
    const other = join(root, 'other.html');
    const args = ['compare-images', `the "good"=${good}`, `bad=${bad}`, '--num', '20'];
    await maetok(...args, '--out', again, '--quiet');
    await maetok(...args, '--out', other, '--seed', '5', '--quiet');
    expect(readFileSync(again, 'utf8')).toBe(readFileSync(page, 'utf8'));
    const [first, second] = [page, other].map(path =>
      contentOf(readFileSync(path, 'utf8')).pairs.map(({ pair }) => pair),
    );
    expect(second).not.toEqual(first);
    const left = Array.from({ length: 1000 }, (_, pair) => isFirstLeft(0, pair)).filter(Boolean).length;
    expect(Math.abs(left - 500)).toBeLessThan(60);
  });
});

/** Just enough of a browser to run the page's script. */
function browser(html: string) {
  const listeners: Record<string, (event: object) => void> = {};
  const elements: Record<string, Record<string, unknown>> = {
    content: { textContent: part(html, /id="content">(.*?)<\/script>/s) },
  };
  let saved = '';
  const store = new Map<string, string>();
  const element = (name: string) =>
    (elements[name] ??= { addEventListener: (_: string, act: () => void) => (elements[name].click = act) });
  const globals = {
    document: {
      getElementById: element,
      addEventListener: (name: string, act: (event: object) => void) => (listeners[name] = act),
      createElement: () => ({ click: () => undefined }),
    },
    localStorage: {
      getItem: (key: string) => store.get(key) ?? null,
      setItem: (key: string, value: string) => store.set(key, value),
    },
    addEventListener: () => undefined,
    performance: { now: () => 0 },
    URL: { createObjectURL: () => 'blob:' },
    Blob: function Blob([text]: string[]) {
      saved = text;
    },
  };
  const open = (): void => void runInNewContext(part(html, /<\/script>\n<script>(.*)<\/script>/s), { ...globals });
  open();
  return {
    open,
    element,
    press: (key: string) => listeners.keydown({ key, preventDefault: () => undefined }),
    table: () => saved,
  };
}

describe('judging', () => {
  test('by keys, undone by Backspace, kept over a reload; the saved table says who won', async () => {
    const html = readFileSync(page, 'utf8');
    const { pairs, seed } = contentOf(html);
    const { press, open, element, table } = browser(html);
    press('ArrowDown');
    press('Backspace');
    pairs.forEach(({ pair }, i) => {
      if (i === 10) open();
      const good = isFirstLeft(seed, pair) ? 'ArrowLeft' : 'ArrowRight';
      const worse = isFirstLeft(seed, pair) ? 'ArrowRight' : 'ArrowLeft';
      press(i < 14 ? good : i < 17 ? 'ArrowDown' : worse);
    });
    expect(element('done').hidden).toBe(false);
    press('s');
    const saved = join(root, 'saved.csv');
    writeFileSync(saved, table());
    expect(rowsOf(table())).toHaveLength(20);
    const { code, stdout } = await maetok('compare-images', '--judgments', saved);
    expect(code).toBe(0);
    const counted = rowsOf(stdout);
    expect(counted.map(({ outcome, pairs: number }) => [outcome, number])).toEqual([
      ['win', '14'],
      ['tie', '3'],
      ['lose', '3'],
      ['preference', '20'],
    ]);
    expect(counted[3]).toMatchObject({ source: 'the "good"', against: 'bad', share: '0.775', judges: '1' });
    // scipy.stats: binomtest(14, 17).pvalue, proportion_ci('wilson') of 14 of 20
    expect(Number(counted[3].p)).toBeCloseTo(0.012725830078125, 12);
    expect(Number(counted[0].share_low)).toBeCloseTo(0.48102, 4);
    expect(Number(counted[0].share_high)).toBeCloseTo(0.85452, 4);
  });

  test('several judges: a pair counts once, by majority', async () => {
    const head = 'seed,pair,a,b,choice,seconds\n';
    const judge = (name: string, ...choices: [pair: number, first: number][]): string => {
      const path = join(root, `${name}.csv`);
      const side = (pair: number, first: number): string =>
        first === 0 ? 'tie' : first > 0 === isFirstLeft(7, pair) ? 'left' : 'right';
      writeFileSync(path, head + choices.map(([pair, first]) => `7,${pair},x,y,${side(pair, first)},1\n`).join(''));
      return path;
    };
    const files = [
      judge('ann', [0, 1], [1, 1], [2, 1]),
      judge('bob', [0, 1], [1, -1], [2, 0]),
      judge('cid', [0, 1], [3, -1]),
    ];
    const { stdout, stderr } = await maetok('compare-images', '--judgments', files.join(','));
    expect(rowsOf(stdout).map(({ pairs }) => pairs)).toEqual(['2', '1', '1', '4']);
    expect(rowsOf(stdout)[0].judges).toBe('3');
    expect(stderr).toMatch(/agree on 33 % of the pairs/);
  });

  test('the sign test is exact, of many judgments too', () => {
    expect(signTest(0, 0)).toBe(1);
    expect(signTest(0, 5)).toBeCloseTo(2 / 32, 14);
    // scipy.stats.binomtest(2100, 4000).pvalue
    expect(signTest(2100, 1900)).toBeCloseTo(0.0016492663751357264, 10);
  });
});

describe('bad input is one clear line', () => {
  test.each([
    ['one set', [good], /needs two sets/],
    ['no page', [good, bad], /needs --out/],
    ['the same twice', [good, good, '--out', join(root, 'x.html')], /two inputs are called good/],
    ['an existing page', [good, bad, '--out', page], /page\.html: already exists/],
    ['no table', ['--judgments', join(root, 'absent.csv')], /absent\.csv: no such file/],
    ['another table', ['--judgments', join(root, 'other.csv')], /has no column 'seed'/],
    ['a wrong choice', ['--judgments', join(root, 'wrong.csv')], /line 3: '0,2,both' is not a judgment/],
    ['both', [good, '--judgments', 'x.csv'], /leave out/],
  ])('%s', async (_, args, message) => {
    writeFileSync(join(root, 'other.csv'), 'x\n1\n');
    writeFileSync(join(root, 'wrong.csv'), 'seed,pair,a,b,choice\n0,1,x,y,left\n0,2,x,y,both\n');
    const { code, stderr } = await maetok('compare-images', ...args, '--quiet');
    expect(code).toBeGreaterThan(0);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(message);
  });
});

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
const path = (name: string): string => join(folder, name);
const ROWS = 90;

/** Latents [rows, 2 tokens, 4 channels] in three clusters. */
async function latents(name: string, labelled: boolean): Promise<void> {
  const random = new RandomNumbers(1);
  const labels = random.for('labels').integers(ROWS, 3);
  const data = random.for('data').normals(ROWS * 8);
  labels.forEach((label, row) => {
    data[row * 8 + label] += 12;
  });
  await writeNpz(path(`${name}.npz`), {
    latents: { shape: [ROWS, 2, 4], dtype: 'float32', data },
    ...(labelled ? { labels: { shape: [ROWS], dtype: 'int32', data: labels } } : {}),
  });
}

beforeAll(async () => {
  await latents('a', true);
  await latents('b', false);
});

const linesOf = (csv: string): string[][] =>
  csv
    .trim()
    .split('\n')
    .map(line => line.split(','));

describe('maetok umap', () => {
  it('gives every row its place in every embedding, draws them, and measures how well neighbourhoods are preserved', async () => {
    const [out, quality, chart] = [path('points.csv'), path('quality.csv'), path('chart')];
    const { code, stderr } = await maetok(
      ...['umap', `one=${path('a.npz')}`, `two=${path('b.npz')}`, '--method', 'umap,tsne,pca', '--epochs', '40'],
      ...['--iterations', '30', '--perplexity', '5', '--neighbours', '8'],
      ...['--out', out, '--quality', quality, '--chart', `${chart}.svg,${chart}.png`],
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(/one: umap: trustworthiness 0\.\d+, continuity 0\.\d+ \(k = 8\)/);
    const [head, ...points] = linesOf(readFileSync(out, 'utf8'));
    expect(head).toEqual(['source', 'method', 'row', 'x', 'y', 'label', 'class']);
    expect(points).toHaveLength(2 * 3 * ROWS);
    expect(points.every(([, , , x, y]) => Number.isFinite(Number(x)) && Number.isFinite(Number(y)))).toBe(true);
    const [, ...kept] = linesOf(readFileSync(quality, 'utf8'));
    expect(kept.map(([source, method]) => `${source} ${method}`)).toEqual([
      ...['one umap', 'one tsne', 'one pca', 'two umap', 'two tsne', 'two pca'],
    ]);
    for (const [, , , , trustworthiness] of kept) expect(Number(trustworthiness)).toBeGreaterThan(0.6);
    const svg = readFileSync(`${chart}.svg`, 'utf8');
    for (const word of ['one', 'two', 'umap', 'tsne', 'pca', 'trustworthiness']) expect(svg).toContain(word);
    expect(readFileSync(`${chart}.png`).subarray(1, 4).toString()).toBe('PNG');
    const card = JSON.parse(readFileSync(`${out}.protocol.json`, 'utf8')) as Record<string, unknown>;
    expect(card).toMatchObject({ command: 'umap', neighbours: 8, seed: 0 });
  });

  it('draws the same rows again from the same seed, and its CSV through a pipe', async () => {
    const args = ['umap', path('a.npz'), '--epochs', '20', '--sample', '50', '--quiet'];
    const { stdout } = await maetok(...args);
    expect((await maetok(...args)).stdout).toBe(stdout);
    expect(linesOf(stdout)).toHaveLength(51);
    const chart = await maetokWith({ stdin: stdout }, 'plot');
    expect(chart.stdout).toMatch(/^<svg/);
  });

  it.each([2, 3])('gives %i ranks the embeddings of one process, which rank 0 alone writes', async size => {
    const words = [
      ...['umap', path('a.npz'), '--method', 'umap,tsne,pca', '--epochs', '20', '--iterations', '30'],
      ...['--perplexity', '5', '--neighbours', '8', '--sample', '70', '--quiet', '--force'],
    ];
    const seconds = (csv: string): string => csv.replace(/[^,]*$/gm, '');
    const one = path('one.csv');
    const { stdout } = await maetok(...words, '--quality', one);
    const out = path(`${size}.csv`);
    const files = ['--quality', out, '--chart', path(`${size}.svg`)];
    const [first, ...others] = await maetokByRanks(size, ...words, ...files);
    expect([first.code, first.stdout]).toEqual([0, stdout]);
    for (const other of others) expect(other).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(seconds(readFileSync(out, 'utf8'))).toBe(seconds(readFileSync(one, 'utf8')));
    expect(existsSync(path(`${size}.svg`))).toBe(true);
  });

  it('refuses ranks that see other latents, naming them', async () => {
    const run = (communicator: Communicator) =>
      maetokWith({ communicator }, 'umap', `x=${path(communicator.rank === 0 ? 'a.npz' : 'b.npz')}`, '--quiet');
    const [{ code, stdout, stderr }] = await asRanks(2, run);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(
      /^maetok: x: the digest is not the same for all ranks: .*; all hosts need the same files and options\n$/,
    );
  });

  it('stops when interrupted, writing nothing', async () => {
    const stop = new AbortController();
    stop.abort();
    const out = path('stopped.csv');
    const { code, stderr } = await maetokWith({ signal: stop.signal }, 'umap', path('a.npz'), '--out', out, '--quiet');
    expect([code, existsSync(out)]).toEqual([130, false]);
    expect(stderr).toMatch(/interrupted/);
  });

  it.each([
    ['more neighbours than rows', ['--neighbours', '200'], /has 90 rows.*--neighbours 200 need 202/],
    ['a chart of no known kind', ['--chart', 'x.pdf'], /--chart x\.pdf: must end in \.svg or \.png/],
    ['a method of no known kind', ['--method', 'isomap'], /--method/],
  ])('%s: one line, exit 2', async (_, rest, message) => {
    const { code, stderr } = await maetok('umap', path('a.npz'), ...rest, '--quiet');
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('warns if rows vary along one axis only, and places them on a line', async () => {
    const data = Float32Array.from({ length: 20 * 8 }, (_, i) => Math.floor(i / 8) * ((i % 8) + 1));
    await writeNpz(path('line.npz'), { latents: { shape: [20, 2, 4], dtype: 'float32', data } });
    const { code, stdout, stderr } = await maetok(
      ...['umap', path('line.npz'), '--method', 'pca', '--neighbours', '5'],
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(/line: pca: its 20 rows vary along only 1 of the 2 requested axes; the others are left out/);
    const [, ...points] = linesOf(stdout);
    expect(points.map(([, , , , y]) => Number(y))).toEqual(new Array(20).fill(0));
  });
});

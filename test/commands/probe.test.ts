import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { writeNpz } from '../../src/io/index.js';
import { maetok } from '../helpers/cli.js';
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

beforeAll(async () => {
  await latents('clear');
  await latents('clear-test', { seed: 1 });
  await latents('blurred', { gap: 0.2 });
  await latents('unlabelled', { labelled: false });
});

interface Row {
  [column: string]: string;
}

function rowsOf(csv: string): Row[] {
  const [head, ...lines] = csv.trim().split('\n');
  const columns = head.split(',');
  return lines.map(line => Object.fromEntries(line.split(',').map((cell, i) => [columns[i], cell])));
}

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

  it('writes a file with its protocol beside it', async () => {
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
    ['no labels', ['unlabelled'], /unlabelled: has no labels.*a subfolder per class/],
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

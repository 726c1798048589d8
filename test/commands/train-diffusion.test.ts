import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { RandomNumbers } from '../../src/base/index.js';
import type { RunNetwork } from '../../src/diffusion/index.js';
import { writeNpz } from '../../src/io/index.js';
import { maetok } from '../helpers/cli.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();
const grid = join(root, 'grid.npz');
const SIDE = 4;
const [ROWS, CHANNELS] = [24, 8];

beforeAll(async () => {
  const numbers = new RandomNumbers(0);
  await writeNpz(grid, {
    latents: {
      dtype: 'float32',
      shape: [ROWS, CHANNELS, SIDE, SIDE],
      data: numbers.for('latents').normals(ROWS * CHANNELS * SIDE * SIDE),
    },
    labels: { dtype: 'int32', shape: [ROWS], data: Int32Array.from({ length: ROWS }, (_, row) => row % 3) },
  });
});

const QUICK = [
  ...['--steps', '2', '--batch-size', '4', '--ema', '0.5', '--evaluation-samples', '2', '--bins', '1', '--seed', '3'],
];
const train = (out: string, ...words: string[]) =>
  maetok('train', 'sit-tiny', '--latents', grid, '--out', join(root, out), ...QUICK, ...words);
const architecture = (run: string): RunNetwork['architecture'] =>
  (parse(readFileSync(join(root, run, 'config.yaml'), 'utf8')) as { network: RunNetwork }).network.architecture;

describe('a wide head', () => {
  test('is trained and opened again', async () => {
    const trained = await train('wide', '--head-depth', '1', '--head-width', '128', '--quiet');
    expect(trained.code).toBe(0);
    expect(trained.stderr).not.toMatch(/--head/);
    expect(architecture('wide')).toMatchObject({
      head: { width: 128, depth: 1, heads: 1 },
      timeFeatures: 'drawn',
      depth: 4,
    });
    const measured = await maetok(
      ...['diffusion-loss', join(root, 'wide'), '--latents', grid, '--bins', '1', '--quiet'],
    );
    expect(measured.code).toBe(0);
  });

  test('is asked for where a token’s numbers exceed the width', async () => {
    const wide = join(root, 'wide.npz');
    await writeNpz(wide, {
      latents: { dtype: 'float32', shape: [8, 4, 130], data: new RandomNumbers(1).for('wide').normals(8 * 4 * 130) },
    });
    const warned = await maetok(
      ...['train', 'sit-tiny', '--latents', wide, '--out', join(root, 'warned'), ...QUICK, '--dry-run'],
    );
    expect(warned.stderr).toMatch(/stands for 130 numbers of the latents but is 128 wide.*--head-depth 2/);
  });

  test.each([
    [['--head-width', '256'], /--head-width: needs --head-depth/],
    [['--head-depth', '2', '--head-width', '200'], /--head-width 200: must be a multiple of 4 times its heads/],
    [['--head-depth', '2', '--gft'], /--gft and --head-depth cannot be combined/],
  ])('%j is refused in one line', async (words, message) => {
    const { code, stderr } = await train('refused', ...words);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(existsSync(join(root, 'refused'))).toBe(false);
  });
});

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { RandomNumbers } from '../../src/base/index.js';
import { readRunConfig, writeNpz } from '../../src/io/index.js';
import { maetok } from '../helpers/cli.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();
const [small, large] = ['small.npz', 'large.npz'].map(name => join(root, name));
const BRIEFLY = ['--steps', '1', '--batch-size', '2', '--ema', '0', '--evaluation-samples', '1', '--bins', '1'];

async function writeLatents(path: string, shape: [number, number, number]): Promise<void> {
  const data = new RandomNumbers(1).for(path.slice(-9)).normals(shape[0] * shape[1] * shape[2]);
  const labels = Int32Array.from({ length: shape[0] }, (_, i) => i % 2);
  await writeNpz(path, {
    latents: { shape, dtype: 'float32', data },
    labels: { shape: [shape[0]], dtype: 'int32', data: labels },
  });
}

beforeAll(async () => {
  await writeLatents(small, [12, 16, 4]);
  await writeLatents(large, [4, 80, 128]);
});

interface Resolved {
  options: Record<string, unknown>;
  network: { timeShift?: number };
}

const forecast = async (latents: string, ...words: string[]) => {
  const { code, stdout, stderr } = await maetok(
    ...['train', 'sit-tiny', '--latents', latents, '--out', join(root, 'never'), '--dry-run', ...BRIEFLY, ...words],
  );
  return { code, stderr, resolved: (code === 0 ? parse(stdout) : {}) as Resolved };
};

describe('the time shift of a training', () => {
  test('auto is √(numbers of a latent / 4096), is said and recorded', async () => {
    const { stderr, resolved } = await forecast(small, '--time-shift', 'auto');
    expect(resolved.network.timeShift).toBe(Math.sqrt(64 / 4096));
    expect(stderr).toMatch(/small\.npz: 16×4 numbers a latent: training times are shifted by 0\.125, towards data/);
  });

  test('is none by default, with a warning where the latents are large', async () => {
    const { stderr, resolved } = await forecast(large);
    expect(resolved.network).not.toHaveProperty('timeShift');
    expect(stderr).toMatch(/training times others shift by 1\.58 towards noise.*--time-shift auto/);
  });

  test('changes the training; a run from before there was a choice is continued', async () => {
    const run = async (name: string, ...words: string[]) => {
      const out = join(root, name);
      const { code, stderr } = await maetok(
        'train',
        'sit-tiny',
        '--latents',
        small,
        '--out',
        out,
        ...BRIEFLY,
        ...words,
      );
      expect(code).toBe(0);
      expect(stderr).not.toMatch(/times/);
      return out;
    };
    const plain = await run('plain', '--seed', '3');
    const { config } = await readRunConfig(plain);
    expect(config.options).not.toHaveProperty('timeShift');
    expect(config.network).not.toHaveProperty('timeShift');
    const loss = (out: string) => readFileSync(join(out, 'metrics.csv'), 'utf8').split('\n')[1];
    expect(loss(await run('shifted', '--seed', '3', '--time-shift', '6.9'))).not.toBe(loss(plain));
    const other = await maetok('train', 'sit-tiny', '--out', plain, '--resume', '--steps', '2', '--time-shift', '2');
    expect(other).toMatchObject({ code: 2, stderr: expect.stringMatching(/timeShift was absent, now 2/) });
    // Of what was added later, an earlier record says nothing.
    const path = join(plain, 'config.yaml');
    writeFileSync(path, readFileSync(path, 'utf8').replace(/^ +(headDepth|timeFeatures): .*\n/gm, ''));
    const { code, stderr } = await maetok('train', 'sit-tiny', '--out', plain, '--resume', '--steps', '2');
    expect({ code, stderr }).toMatchObject({ code: 0 });
  });

  test.each([
    [['--time-shift', '0'], /--time-shift must be above 0, not '0'/],
    [['--time-shift', 'on'], /--time-shift must be auto, none or a number, not 'on'/],
    [['--time-mean', '-0.75'], /--time-mean: applies to --times lognormal, but these are uniform/],
    [['--time-std', '2', '--times', 'uniform'], /--time-std: applies to --times lognormal/],
  ])('%j is refused in one line', async (words, message) => {
    const { code, stderr } = await forecast(small, ...words);
    expect(code).toBe(2);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(message);
  });
});

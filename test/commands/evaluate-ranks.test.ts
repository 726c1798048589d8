import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { messageOf, silentLog } from '../../src/base/index.js';
import { agreeOnOptions } from '../../src/commands/agreement.js';
import type { Communicator } from '../../src/distributed/index.js';
import { startEngine } from '../../src/engine/index.js';
import { openExtractor } from '../../src/features/index.js';
import { PILLOW } from '../../src/io/index.js';
import { evaluateSets } from '../../src/jobs/evaluate/index.js';
import { maetok, maetokByRanks } from '../helpers/cli.js';
import { rowsOf } from '../helpers/csv.js';
import { asRanks } from '../helpers/ranks.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();
const [NEAR, FAR, REAL, HELD_OUT] = ['count=24&seed=7', 'count=24&classes=1', 'count=24', 'count=25&seed=8'].map(
  what => `synthetic:scenes?size=16&${what}`,
);

beforeAll(async () => {
  await startEngine();
});

describe.each([2, 3])('%d ranks write the table of one, bit for bit', size => {
  const same = async (...words: string[]) => {
    const one = await maetok('evaluate', ...words, '--quiet');
    expect(one.code).toBe(0);
    const [first, ...others] = await maetokByRanks(size, 'evaluate', ...words, '--quiet');
    expect(first.stdout).toBe(one.stdout);
    for (const other of others) expect(other).toEqual({ code: 0, stdout: '', stderr: '' });
    return { one, first };
  };

  test('sets of images', async () => {
    const metrics = ['--metrics', 'fid,kid,precision-recall,mind,cmmd,fdr', '--directions', '20', '--bootstrap', '3'];
    const features = ['--features', 'pixels,hog', '--batch-size', '8'];
    const sets = [`near=${NEAR}`, `far=${FAR}`, '--reference', REAL, '--validation', HELD_OUT];
    const { one, first } = await same(...sets, ...features, ...metrics);
    expect(first.stderr).toBe(one.stderr);
    expect(new Set(rowsOf(one.stdout).map(row => row.metric))).toEqual(
      new Set(['fd', 'kd', 'precision', 'recall', 'monge', 'cmmd', 'fdr']),
    );
  });

  test('pairs, of which some are unreadable', async () => {
    const folder = join(root, `broken-${size}`);
    await maetok('data', REAL, '--out', folder, '--quiet');
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.png'));
    for (const broken of [5, 9, 10, 11]) writeFileSync(join(folder, files.sort()[broken]), 'no image');
    const paired = ['--paired', '--features', 'hog', '--batch-size', '3'];
    const { one, first } = await same(NEAR, '--reference', folder, ...paired);
    expect(rowsOf(one.stdout)[0].images).toBe('20');
    const lines = (text: string): string[] => text.split('\n').sort();
    expect(lines(first.stderr)).toEqual(lines(one.stderr));
    expect(one.stderr.match(/skipped/g)).toHaveLength(4);
  });
});

describe('ranks are refused', () => {
  const signal = new AbortController().signal;
  const evaluated = async (communicator: Communicator | undefined, input: string, features?: 'pixels') => {
    const settings = { reference: REAL, strict: false, paired: features === undefined, batchSize: 2, ...PILLOW };
    const extractor = features && (await openExtractor(features));
    return await evaluateSets(
      [{ name: 'near', path: input }],
      { ...settings, bootstrap: 0, seed: 0, directions: 0 },
      { extractor, perceptual: undefined },
      { log: silentLog, signal, communicator },
    );
  };

  test('with other options', async () => {
    const work = asRanks(2, async communicator => {
      const chosen = communicator.rank === 0 ? {} : { batchSize: 4 };
      const schema = z.object({ batchSize: z.number().optional() });
      await agreeOnOptions({ communicator }, schema, chosen, []);
    });
    await expect(work).rejects.toThrow(/--batch-size is not the same for all ranks: null for rank 0, 4 for rank 1/);
  });

  test('with other images', async () => {
    const work = asRanks(2, communicator => evaluated(communicator, [NEAR, FAR][communicator.rank]));
    await expect(work).rejects.toThrow(/near: the digest is not the same for all ranks: .* for rank 1/);
  });

  test('with images of several sizes, whichever of them reads which, as one process is', async () => {
    const folder = join(root, 'sizes');
    mkdirSync(folder);
    for (const [name, side] of [
      ['a', 16],
      ['b', 24],
    ])
      await maetok('data', `synthetic:scenes?count=2&size=${side}`, '--out', join(folder, String(name)), '--quiet');
    const message = await evaluated(undefined, folder, 'pixels').catch(messageOf);
    expect(message).toMatch(/16×16.*24×24/);
    await expect(asRanks(2, communicator => evaluated(communicator, folder, 'pixels'))).rejects.toThrow(message);
  });
});

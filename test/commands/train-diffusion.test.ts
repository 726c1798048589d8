import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { RandomNumbers, silentLog } from '../../src/base/index.js';
import { forward, openDiffusion, type RunNetwork } from '../../src/diffusion/index.js';
import type { Communicator } from '../../src/distributed/index.js';
import { tf } from '../../src/engine/index.js';
import { writeNpz } from '../../src/io/index.js';
import { openHiddenStates } from '../../src/jobs/hidden-states/index.js';
import { readHiddenStates } from '../../src/jobs/hidden-states/options.js';
import { openLatents } from '../../src/latents/index.js';
import type { RowSource } from '../../src/rows/index.js';
import { maetok, type CliResult } from '../helpers/cli.js';
import { rowsOf } from '../helpers/csv.js';
import { asRanks } from '../helpers/ranks.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();
const grid = join(root, 'grid.npz');
const SIDE = 4;
const [ROWS, CHANNELS] = [24, 8];

/** The training of a run with a wide head, which further tests open. */
let wide: CliResult;

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
  wide = await train('wide', '--head-depth', '1', '--head-width', '128', '--quiet');
});

const QUICK = [
  ...['--steps', '2', '--batch-size', '4', '--ema', '0.5', '--evaluation-samples', '2', '--bins', '1', '--seed', '3'],
];
const train = (out: string, ...words: string[]) =>
  maetok('train', 'sit-tiny', '--latents', grid, '--out', join(root, out), ...QUICK, ...words);
const architecture = (run: string): RunNetwork['architecture'] =>
  (parse(readFileSync(join(root, run, 'config.yaml'), 'utf8')) as { network: RunNetwork }).network.architecture;

const floats = async (source: RowSource): Promise<Float32Array> => {
  for await (const { data } of source.chunks()) return data;
  throw new Error('no rows');
};
const hidden = (words: string, options: { limit?: number; seed?: number; communicator?: Communicator } = {}) =>
  openHiddenStates(readHiddenStates(`sit:${join(root, 'wide')}@${words}`), { ...options, log: silentLog });

describe('a wide head', () => {
  test('is trained and opened again', async () => {
    expect(wide.code).toBe(0);
    expect(wide.stderr).not.toMatch(/--head/);
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
    const broad = join(root, 'broad.npz');
    await writeNpz(broad, {
      latents: { dtype: 'float32', shape: [8, 4, 130], data: new RandomNumbers(1).for('broad').normals(8 * 4 * 130) },
    });
    const warned = await maetok(
      ...['train', 'sit-tiny', '--latents', broad, '--out', join(root, 'warned'), ...QUICK, '--dry-run'],
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

describe('alignment and an early prediction', () => {
  const features = join(root, 'features.npz');
  const irepa = ['--repa', features, '--repa-projector', 'conv', '--repa-normalise', 'spatial'];

  beforeAll(async () => {
    const data = new RandomNumbers(2).for('features').normals(ROWS * SIDE * SIDE * 6);
    await writeNpz(features, { features: { dtype: 'float32', shape: [ROWS, SIDE * SIDE, 6], data } });
  });

  test('are trained together and told apart in the log', async () => {
    const { code } = await train('irepa', ...irepa, '--early-head', '2', '--log-every', '1', '--quiet');
    expect(code).toBe(0);
    expect(architecture('irepa')).toMatchObject({
      projectors: { after: 2, kind: 'conv', features: [6] },
      early: { after: 2 },
    });
    const [row] = rowsOf(readFileSync(join(root, 'irepa', 'metrics.csv'), 'utf8'));
    const [loss, denoising, early, alignment] = [row.loss, row.denoising, row.early, row.alignment].map(Number);
    // The first prediction of both is zero, and so is their loss the same.
    expect(early).toBeCloseTo(denoising, 5);
    expect(loss).toBeCloseTo(denoising + early + 0.5 * alignment, 5);
  });

  test.each([
    [['--repa-projector', 'conv'], /--repa-projector: needs --repa/],
    [['--repa-mean', '1'], /--repa-mean: needs --repa-normalise spatial/],
    [['--early-weight', '1'], /--early-weight: needs --early-head/],
    [['--early-head', '4'], /--early-head 4: must be before the last of the 4 blocks/],
    [[...irepa, '--patch', '2'], /needs a feature for each of the network's 4 tokens; .* has 16/],
  ])('%j is refused in one line', async (words, message) => {
    const { code, stderr } = await train('refused', ...words);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(existsSync(join(root, 'refused'))).toBe(false);
  });
});

test('a convolution over a line of tokens is refused', async () => {
  const line = join(root, 'line.npz');
  const data = new RandomNumbers(3).for('line').normals(ROWS * 32);
  await writeNpz(line, { latents: { dtype: 'float32', shape: [ROWS, 16, 2], data } });
  const out = ['--out', join(root, 'refused')];
  const words = ['--latents', line, '--repa', grid, '--repa-projector', 'conv'];
  const { code, stderr } = await maetok('train', 'sit-tiny', ...words, ...out, ...QUICK);
  expect(code).toBe(2);
  expect(stderr).toMatch(/--repa-projector conv: needs latents on a grid; those of .* are a line of 16 tokens/);
});

describe('hidden states of a diffusion run', () => {
  test('a row has the same ones whatever the rows beside it; another seed or time gives others', async () => {
    const all = await hidden('block2,t=0.5');
    expect([all.tokens, all.channels, all.grid, all.rows.rows]).toEqual([16, 128, [4, 4], ROWS]);
    const states = await floats(all.rows);
    const first = await floats((await hidden('block2,t=0.5', { limit: 5 })).rows);
    expect(first).toBeAllClose(states.subarray(0, first.length));
    for (const [words, seed] of [
      ['block2,t=0.5', 1],
      ['block2,t=0.6', 0],
    ] as const) {
      const other = await floats((await hidden(words, { seed, limit: 5 })).rows);
      expect(other).not.toEqual(first);
    }
  });

  test('at t = 1 those of the latents themselves, and their mean over tokens', async () => {
    const { config, params, mean, std, dispose } = await openDiffusion(join(root, 'wide'));
    const latents = await openLatents(grid);
    const x = tf
      .tensor3d(await latents.read([0, 1]), [2, 16, CHANNELS])
      .sub(tf.tensor1d(mean))
      .div(tf.tensor1d(std));
    const input = { x, t: [1, 1], labels: [config.classes, config.classes] };
    const { activations } = forward(config, params, input, name => name === 'blocks.4');
    const expected = activations['blocks.4'];
    const states = await hidden('block5,t=1', { limit: 2 });
    expect(await floats(states.rows)).toBeAllClose(await expected.data(), { rtol: 1e-4 });
    const means = await hidden('block5,t=1,tokens=mean', { limit: 2 });
    expect(await floats(means.rows)).toBeAllClose(await expected.mean(1).data(), { rtol: 1e-4 });
    dispose();
    await latents.close();
  });

  test('are computed by several ranks, batch by batch, and each has those of all rows', async () => {
    const many = join(root, 'many.npz');
    const shape = [70, CHANNELS, SIDE, SIDE];
    const data = new RandomNumbers(4).normals(70 * CHANNELS * SIDE * SIDE);
    await writeNpz(many, { latents: { dtype: 'float32', shape, data } });
    const words = `block2,t=0.5,labels=none,tokens=mean,latents=${many}`;
    const one = await floats((await hidden(words)).rows);
    for (const { rows } of await asRanks(2, communicator => hidden(words, { communicator })))
      expect(await floats(rows)).toEqual(one);
  });

  test('are probed like latents, and the card says whether the network was told the classes', async () => {
    const out = join(root, 'probe.csv');
    const spec = `sit:${join(root, 'wide')}@block3,t=0.5,labels=given`;
    const probed = await maetok(
      ...[
        'probe',
        `h3=${grid}`,
        '--features',
        spec,
        '--feature',
        'mean',
        '--probe',
        'knn',
        '--neighbours',
        '3',
        '--out',
        out,
      ],
    );
    expect(probed).toMatchObject({ code: 0 });
    expect(probed.stderr).toMatch(/was told the classes/);
    expect(rowsOf(readFileSync(out, 'utf8'))[0]).toMatchObject({ source: 'h3', dims: '128', classes: '3' });
    const card = JSON.parse(readFileSync(`${out}.protocol.json`, 'utf8')) as { hiddenStates: unknown };
    expect(card.hiddenStates).toMatchObject({ h3: { block: 3, t: 0.5, labels: 'given', seed: 0, step: 2 } });
  });

  test('of the latents that the run was trained on, aligned with features', async () => {
    const aligned = await maetok(
      ...['diagnose', `sit:${join(root, 'wide')}@block3,t=0.5`, '--features', grid, '--measure', 'alignment'],
    );
    expect(aligned).toMatchObject({ code: 0 });
    const [row] = rowsOf(aligned.stdout);
    expect(row).toMatchObject({ source: 'wide@block3,t=0.5', measure: 'cknna', rows: String(ROWS) });
  });

  test.each([
    ['block9,t=0.5', /block 9 is beyond the last of its 5 blocks/],
    ['block2', /has no t; write sit:RUN@block8,t=0\.5/],
    ['block2,t=1.5', /t must be 1 or less/],
    ['block2,t=0.5,labels=own', /labels/],
    ['block2,t=0.5,layer=3', /only t, labels, tokens, latents, weights, heads can be set/],
    ['t=0.5', /hidden states are named sit:RUN@block8/],
    ['block2,t=0.5,latents=nowhere', /nowhere: no such latents/],
  ])('%s is refused in one line', async (words, message) => {
    const { code, stderr } = await maetok('diagnose', `sit:${join(root, 'wide')}@${words}`, '--measure', 'tokens');
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});

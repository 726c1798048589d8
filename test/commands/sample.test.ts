import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { shapes, type RunNetwork } from '../../src/diffusion/index.js';
import { RandomStream, startEngine } from '../../src/engine/index.js';
import {
  decodeImage,
  holdFolder,
  readNpz,
  readRun,
  readSafetensors,
  writeSafetensors,
  type NdArray,
} from '../../src/io/index.js';
import { maetok, maetokByRanks, maetokWith } from '../helpers/cli.js';
import { rowsOf } from '../helpers/csv.js';
import { tempFolder } from '../helpers/temp.js';

const GOLDEN = fileURLToPath(new URL('../../fixtures/golden/convolutional/sdvae-quant', import.meta.url));
const root = tempFolder();
const [vae, latents, run] = ['vae', 'latents', 'run'].map(name => join(root, name));
let made = 0;
const fresh = (): string => join(root, `samples-${made++}`);

type Change = (weights: Record<string, NdArray>, config: { network: RunNetwork }) => void;

/** Changes weights and configuration of a run in place. */
async function change(folder: string, how: Change): Promise<string> {
  const path = join(folder, 'config.yaml');
  const config = parse(readFileSync(path, 'utf8')) as { network: RunNetwork };
  const { checkpoint } = await readRun(folder);
  const file = join(checkpoint, 'ema.safetensors');
  const arrays = await readSafetensors(file);
  how(arrays, config);
  await writeSafetensors(file, arrays, { force: true });
  // Without its digests, so that the changed weights are not taken for damaged ones.
  const state = JSON.parse(readFileSync(join(checkpoint, 'state.json'), 'utf8')) as object;
  writeFileSync(join(checkpoint, 'state.json'), JSON.stringify({ ...state, files: undefined }));
  writeFileSync(path, stringify(config));
  return folder;
}

/** The run under another name, changed. */
async function changed(name: string, how: Change): Promise<string> {
  cpSync(run, join(root, name), { recursive: true });
  return await change(join(root, name), how);
}

const drawn = (key: string, count: number): Float32Array =>
  new RandomStream(1)
    .for(key)
    .normals(count)
    .map(z => 0.2 * z);

beforeAll(async () => {
  await startEngine();
  mkdirSync(vae);
  const { parameters } = JSON.parse(readFileSync(join(GOLDEN, 'config.json'), 'utf8')) as { parameters: unknown };
  writeFileSync(join(vae, 'config.json'), JSON.stringify(parameters));
  copyFileSync(join(GOLDEN, 'weights.safetensors'), join(vae, 'model.safetensors'));
  await maetok(
    ...[
      'extract',
      '--data',
      'synthetic:scenes?count=12&size=16',
      '--tokenizer',
      vae,
      '--image-size',
      '16',
      '--out',
      latents,
    ],
    '--quiet',
  );
  const { code, stderr } = await maetok(
    ...['train', 'sit-tiny', '--latents', latents, '--out', run, '--steps', '1', '--batch-size', '4', '--ema', '0.5'],
    ...['--evaluation-samples', '1', '--bins', '1', '--quiet'],
  );
  expect({ code, stderr }).toMatchObject({ code: 0 });
  // One step leaves what starts at zero near it: all of the network is to have a say.
  await change(run, weights => {
    for (const [key, array] of Object.entries(weights))
      if (/final_layer.linear|adaLN|embedding_table/.test(key)) array.data = drawn(key, array.data.length);
  });
});

const sample = (out: string, ...words: string[]) => maetok('sample', run, '--out', out, '--steps', '3', ...words);
const png = (folder: string, k: number): string => join(folder, `${String(k).padStart(6, '0')}.png`);
const pixels = async (folder: string, k: number): Promise<Uint8Array> => (await decodeImage(png(folder, k))).data;

/** Largest difference of two images; 8 bits and another batch size's rounding make 1 of it. */
function difference(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}

describe('maetok sample', () => {
  test('images, ADM’s npz, a grid, a strip, and what they were made with', async () => {
    const out = fresh();
    const strip = join(root, 'strip.png');
    const { code, stderr } = await sample(
      out,
      '--num',
      '5',
      '--batch-size',
      '3',
      '--trajectory',
      strip,
      '--guidance',
      '2',
    );
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toMatch(/5 samples \(.* samples\/s\)/);
    const { arr_0: images, arr_1: labels } = await readNpz(join(out, 'samples.npz'));
    expect([images.shape, images.dtype, labels.shape, labels.dtype]).toEqual([[5, 16, 16, 3], 'uint8', [5], 'int64']);
    const size = 16 * 16 * 3;
    for (let k = 0; k < 5; k++)
      expect(Array.from(images.data.subarray(k * size, (k + 1) * size) as Uint8Array)).toEqual(
        Array.from(await pixels(out, k)),
      );
    expect(new Set(Array.from(labels.data as BigInt64Array, Number)).size).toBeGreaterThan(1);
    expect(existsSync(`${out}-grid.png`)).toBe(true);
    const { width, height } = await decodeImage(strip);
    expect(width).toBeGreaterThan(height * 0.5);
    expect(JSON.parse(readFileSync(join(out, 'samples.json'), 'utf8'))).toMatchObject({
      guidance: { scale: 2, interval: [0, 1] },
      sampler: { name: 'euler', steps: 3, shift: 1 },
      convention: 'own',
      seed: 0,
    });
  });

  test.each([
    [['--guidance', '1.5']],
    [['--sampler', 'sde', '--guidance', '1.5']],
    [['--sampler', 'dpm++', '--labels', 'random']],
  ])('sample k is the same whatever the batch size: %j', async words => {
    const [ones, threes] = [fresh(), fresh()];
    await sample(ones, '--num', '4', '--batch-size', '1', ...words);
    await sample(threes, '--num', '4', '--batch-size', '3', ...words);
    const seen: number[] = [];
    for (let k = 0; k < 4; k++) {
      const [a, b] = [await pixels(ones, k), await pixels(threes, k)];
      expect(difference(a, b)).toBeLessThanOrEqual(1);
      seen.push(a.reduce((sum, value) => sum + value, 0));
    }
    expect(new Set(seen).size).toBe(4);
  });

  test('an interrupted folder is completed, and may be made larger', async () => {
    const [whole, parts] = [fresh(), fresh()];
    await sample(whole, '--num', '4', '--batch-size', '2');
    const abort = new AbortController();
    const words = ['sample', run, '--out', parts, '--steps', '3', '--batch-size', '2'];
    await maetok(...words, '--num', '2');
    abort.abort();
    const stopped = await maetokWith({ signal: abort.signal }, ...words, '--num', '3', '--resume');
    expect(stopped.code).toBe(130);
    expect(stopped.stderr).toMatch(/interrupted; 2 samples are saved in .*, the same command with --resume continues/);
    rmSync(png(parts, 0));
    truncateSync(png(parts, 1), 60);
    const resumed = await maetok(...words, '--num', '4', '--resume');
    expect(resumed).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/000001.png: is damaged; it is sampled again/),
    });
    for (let k = 0; k < 4; k++)
      expect(difference(await pixels(whole, k), await pixels(parts, k))).toBeLessThanOrEqual(1);
    expect((await readNpz(join(parts, 'samples.npz'))).arr_0.shape).toEqual([4, 16, 16, 3]);
  });

  test('how straight paths are: a row a sample, guided or not, and means on stdout', async () => {
    const out = fresh();
    const table = join(out, 'trajectories.csv');
    const words = ['--trajectory-measures', '--batch-size', '2'];
    const pathsOf = (): unknown =>
      (JSON.parse(readFileSync(`${table}.protocol.json`, 'utf8')) as { paths: unknown }).paths;
    await sample(out, '--num', '2', '--guidance', '4');
    const { code, stdout, stderr } = await sample(out, '--num', '5', '--guidance', '4', '--resume', ...words);
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/: 2 samples are made again, because their paths were not measured/),
    });
    expect(pathsOf()).toBe('normalised latents, guided');
    const rows = rowsOf(readFileSync(table, 'utf8'));
    expect(rows.map(row => row.sample)).toEqual(['0', '1', '2', '3', '4']);
    for (const { straightness, efficiency } of rows)
      for (const value of [straightness, efficiency].map(Number)) expect(value > 0 && value <= 1).toBe(true);
    const means = rowsOf(stdout);
    expect(means.map(row => [row.source, row.measure, row.samples])).toEqual([
      ['run', 'straightness', '5'],
      ['run', 'efficiency', '5'],
    ]);
    for (const { measure, value, low, high } of means) {
      expect(Number(value)).toBeCloseTo(
        rows.reduce((sum, row) => sum + Number(row[measure]) / 5, 0),
        6,
      );
      expect(Number(low) < Number(value) && Number(value) < Number(high)).toBe(true);
    }

    const unguided = await sample(out, '--num', '2', '--force', ...words);
    expect(rowsOf(unguided.stdout).map(row => row.samples)).toEqual(['2', '2']);
    expect(pathsOf()).toBe('normalised latents, unguided');
  });

  test('three ranks make the files of one, byte for byte, and go on where two were interrupted', async () => {
    const words = [
      'sample',
      run,
      '--num',
      '7',
      '--steps',
      '3',
      '--batch-size',
      '2',
      '--trajectory-measures',
      '--quiet',
    ];
    const [one, three, resumed] = [fresh(), fresh(), fresh()];
    const contents = (folder: string): Record<string, Buffer> =>
      Object.fromEntries(readdirSync(folder).map(name => [name, readFileSync(join(folder, name))]));
    // It holds the command line.
    const alike = (files: Record<string, Buffer>) => ({ ...files, 'trajectories.csv.protocol.json': undefined });
    const { stdout } = await maetok(...words, '--out', one);
    const by = await maetokByRanks(3, ...words, '--out', three);
    expect(by).toEqual([stdout, '', ''].map(said => ({ code: 0, stdout: said, stderr: '' })));
    expect(alike(contents(three))).toEqual(alike(contents(one)));
    expect(readFileSync(`${three}-grid.png`)).toEqual(readFileSync(`${one}-grid.png`));
    cpSync(one, resumed, { recursive: true });
    for (const k of [1, 4, 5]) rmSync(png(resumed, k));
    const rows = readFileSync(join(resumed, 'trajectories.csv'), 'utf8').split('\n');
    writeFileSync(join(resumed, 'trajectories.csv'), `${rows.slice(0, 3).join('\n')}\n`);
    writeFileSync(join(resumed, 'trajectories_rank01.csv'), [rows[0], ...rows.slice(5)].join('\n'));
    await maetokByRanks(2, ...words, '--out', resumed, '--resume');
    expect(alike(contents(resumed))).toEqual(alike(contents(one)));
  });

  test('a folder that another process samples into is refused', async () => {
    const out = fresh();
    const refused = await holdFolder(out, {}, () => sample(out, '--num', '1'));
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/in use by process \d+ .*another --out\n$/),
    });
  });

  test('a folder whose card is damaged is refused in one line', async () => {
    const out = fresh();
    mkdirSync(out);
    writeFileSync(join(out, 'samples.json'), '{"model":');
    const { code, stderr } = await sample(out, '--num', '1', '--resume');
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^maetok: .*samples.json: cannot be read: .*\n$/m)]);
  });

  test('a folder is continued only with the same settings', async () => {
    const out = fresh();
    await sample(out, '--num', '1');
    const changed = await sample(out, '--num', '2', '--resume', '--guidance', '3');
    expect(changed).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/was begun with guidance .*"scale":1.* now /),
    });
    const again = await sample(out, '--num', '2');
    expect(again).toMatchObject({ code: 1, stderr: expect.stringMatching(/exists|already holds samples/) });
    expect((await sample(out, '--num', '2', '--force')).code).toBe(0);
  });

  test('a setting in another code’s terms is the same setting', async () => {
    const [ours, theirs] = [fresh(), fresh()];
    await sample(ours, '--num', '1', '--guidance', '2', '--interval', '0.3,1');
    await sample(theirs, '--num', '1', '--guidance', '1', '--interval', '0.3,1', '--convention', 'scale-s');
    expect(difference(await pixels(ours, 0), await pixels(theirs, 0))).toBe(0);
  });

  test('time is shifted as it was in training, unless another shift is asked for', async () => {
    const shifted = await changed('shifted', (_, { network }) => (network.timeShift = 4));
    const [own, number, none, plain] = [fresh(), fresh(), fresh(), fresh()];
    const words = ['sample', shifted, '--num', '1', '--steps', '3', '--out'];
    const { stderr } = await maetok(...words, own);
    expect(stderr).toMatch(/shifted: sampled with its time shift 4\.00 of training \(--shift 0\.250\)/);
    const card = JSON.parse(readFileSync(join(own, 'samples.json'), 'utf8')) as object;
    expect(card).toMatchObject({ sampler: { shift: 0.25 }, trained_time_shift: 4 });
    await maetok(...words, number, '--shift', '0.25');
    expect(difference(await pixels(own, 0), await pixels(number, 0))).toBe(0);
    const departure = await maetok(...words, none, '--shift', 'none');
    expect(departure.stderr).toMatch(/sampled with no time shift, trained with time shift 4\.00/);
    await sample(plain, '--num', '1');
    expect(difference(await pixels(none, 0), await pixels(plain, 0))).toBe(0);
    expect(difference(await pixels(own, 0), await pixels(plain, 0))).toBeGreaterThan(0);
  });

  test('autoguidance by the model itself changes nothing', async () => {
    const [plain, self] = [fresh(), fresh()];
    await sample(plain, '--num', '1');
    await sample(self, '--num', '1', '--guidance', '3', '--bad', run);
    expect(difference(await pixels(plain, 0), await pixels(self, 0))).toBeLessThanOrEqual(1);
  });

  test('internal guidance is away from an early prediction, within its interval and beside the null class', async () => {
    const early = await changed('early', (weights, { network }) => {
      network.architecture.early = { after: 2 };
      for (const [key, shape] of Object.entries(shapes(network.architecture)))
        if (key.startsWith('base_final_layer')) {
          const data = drawn(
            key,
            shape.reduce((a, b) => a * b, 1),
          );
          weights[key] = { shape, dtype: 'float32', data };
        }
    });
    const inTerms = async (...words: string[]): Promise<Uint8Array> => {
      const out = fresh();
      const { code } = await maetok('sample', early, '--num', '1', '--out', out, ...words);
      expect(code).toBe(0);
      return await pixels(out, 0);
    };
    const made = (...words: string[]): Promise<Uint8Array> => inTerms('--steps', '2', ...words);
    const plain = await made();
    const guided = await made('--internal-guidance', '3');
    expect(difference(plain, guided)).toBeGreaterThan(0);
    expect(difference(plain, await made('--internal-guidance', '1'))).toBe(0);
    expect(difference(plain, await made('--internal-guidance', '3', '--internal-interval', '0.95,1'))).toBe(0);
    // In RAE’s terms t = 0 is data, two steps are three points, and pixels are truncated half a level lower.
    const reversed = [
      '--convention',
      'rae',
      '--steps',
      '3',
      '--internal-guidance',
      '3',
      '--internal-interval',
      '0,0.6',
    ];
    const late = await made('--internal-guidance', '3', '--internal-interval', '0.4,1');
    expect(difference(late, await inTerms(...reversed))).toBeLessThanOrEqual(1);
    expect(difference(guided, await made('--internal-guidance', '3', '--guidance', '2'))).toBeGreaterThan(0);
    const refused = await maetok('sample', early, '--out', fresh(), '--internal-guidance', '2', '--bad', early);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringMatching(/--internal-guidance and --bad cannot/) });
  });

  test('outside its interval guidance is off', async () => {
    const [plain, never] = [fresh(), fresh()];
    await sample(plain, '--num', '1');
    await sample(never, '--num', '1', '--guidance', '3', '--interval', '0.95,1');
    expect(difference(await pixels(plain, 0), await pixels(never, 0))).toBe(0);
  });

  test('a model of guidance-free training takes the scale as its input, within the interval', async () => {
    const gft = await changed('gft', (weights, { network }) => {
      network.architecture.beta = 'linear';
      const shape = [256, 512];
      weights['t_embedder.cond_proj.weight'] = { shape, dtype: 'float32', data: drawn('beta', 256 * 512) };
    });
    const [one, three, never] = [fresh(), fresh(), fresh()];
    const words = ['sample', gft, '--num', '1', '--steps', '2', '--out'];
    await maetok(...words, one);
    await maetok(...words, three, '--guidance', '3');
    await maetok(...words, never, '--guidance', '3', '--interval', '0.95,1');
    expect(difference(await pixels(one, 0), await pixels(three, 0))).toBeGreaterThan(0);
    expect(difference(await pixels(one, 0), await pixels(never, 0))).toBe(0);
    const refused = await maetok(...words, fresh(), '--rescale', '0.5');
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringMatching(/--rescale: a model of guidance-free/) });
  });
});

describe('bad input is one clear line', () => {
  test('guidance on a model that was trained without label dropout: a warning', async () => {
    const sure = await changed('sure', (_, { network }) => (network.labelDropout = 0));
    const { code, stderr } = await maetok(
      'sample',
      sure,
      '--num',
      '1',
      '--steps',
      '1',
      '--guidance',
      '2',
      '--out',
      fresh(),
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(/was trained without label dropout/);
  });

  test('latents that are not finite: after which step', async () => {
    const broken = await changed('broken', weights => {
      const { data } = weights['final_layer.linear.weight'];
      weights['final_layer.linear.weight'].data = Float32Array.from(data as Float32Array, value =>
        value < 0 ? -3e38 : 3e38,
      );
    });
    for (const [sampler, message] of [
      ['euler', /NaN or infinite after step 1 of 4 \(t = 0.250\)/],
      ['dopri5', /dopri5: the latents are NaN or infinite/],
    ] as const) {
      const words = ['--steps', '4', '--num', '1', '--sampler', sampler, '--out', fresh()];
      const { code, stderr } = await maetok('sample', broken, '--quiet', ...words);
      expect(code).toBe(1);
      expect(stderr.trim().split('\n')).toHaveLength(1);
      expect(stderr).toMatch(message);
    }
  });

  test.each([
    ['a class out of range', ['--labels', '99'], /--labels 99: the model has classes 0 to \d+/],
    ['a class of no name', ['--labels', 'zebra'], /--labels zebra: no class of this name/],
    ['a tokenizer that does not fit', ['--tokenizer', 'onnx'], /--tokenizer .*: has \d+×\d+ latents, .* makes \d+×\d+/],
    ['another shape of the bad version', ['--bad', 'wide'], /--bad .*: was trained on 4×3 latents, .* on /],
    [
      'paths with noise',
      ['--trajectory-measures', '--sampler', 'sde'],
      /--trajectory-measures: .* sde adds noise .* euler/,
    ],
    ['paths of one step', ['--trajectory-measures'], /--trajectory-measures: a path of one step has no turns/],
    ['no numbers', ['--guidance', 'much'], /--guidance must be a number/],
    ['an --out that is a file', ['--out', join(vae, 'config.json')], /--out .*config\.json/],
  ])('%s', async (_, words, message) => {
    const wide = existsSync(join(root, 'wide'))
      ? join(root, 'wide')
      : await changed('wide', (weights, { network }) => {
          Object.assign(network.architecture, { tokens: 4, grid: [2, 2] });
          weights.pos_embed = { ...weights.pos_embed, shape: [1, 4, 128], data: drawn('positions', 512) };
        });
    const onnx = ['encoder', 'decoder'].map(part =>
      fileURLToPath(new URL(`../../fixtures/golden/onnx/${part}.onnx`, import.meta.url)),
    );
    const typed = words.map(word => (word === 'wide' ? wide : word === 'onnx' ? `onnx:${onnx.join(',')}` : word));
    const few = ['--num', '1', '--steps', '1', ...(words.includes('--out') ? [] : ['--out', fresh()])];
    const { code, stderr } = await maetok('sample', run, '--quiet', ...few, ...typed);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(code).toBe(2);
  });
});

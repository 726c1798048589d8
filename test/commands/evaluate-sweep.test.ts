import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { parseSweep } from '../../src/jobs/evaluate/sweep-settings.js';
import { maetok, maetokByRanks, maetokWith } from '../helpers/cli.js';
import { asRanks } from '../helpers/ranks.js';
import { rowsOf } from '../helpers/csv.js';
import { tempFolder } from '../helpers/temp.js';

const GOLDEN = fileURLToPath(new URL('../../fixtures/golden/convolutional/sdvae-quant', import.meta.url));
const root = tempFolder();
const [vae, latents, run] = ['vae', 'latents', 'run'].map(name => join(root, name));
const SCENES = 'synthetic:scenes?count=20&size=16';
const rows = (path: string): Record<string, string>[] => rowsOf(readFileSync(path, 'utf8'));

beforeAll(async () => {
  mkdirSync(vae);
  const { parameters } = JSON.parse(readFileSync(join(GOLDEN, 'config.json'), 'utf8')) as { parameters: unknown };
  writeFileSync(join(vae, 'config.json'), JSON.stringify(parameters));
  copyFileSync(join(GOLDEN, 'weights.safetensors'), join(vae, 'model.safetensors'));
  const data = ['--data', SCENES, '--image-size', '16'];
  await maetok('extract', ...data, '--tokenizer', vae, '--out', latents, '--quiet');
  await maetok(
    ...['train', 'sit-tiny', '--latents', latents, '--out', run, '--steps', '20', '--batch-size', '4', '--quiet'],
    ...['--evaluation-samples', '4', '--bins', '2'],
  );
});

describe('the settings of a sweep', () => {
  test('every combination of values, alternatives and ranges, in the terms of `maetok sample`', () => {
    const { settings, varied } = parseSweep('cfg=1:2:0.5,interval=0:1|0.2:0.8,steps=25');
    expect(settings).toHaveLength(6);
    expect(varied).toEqual(['guidance', 'interval']);
    expect(settings[3]).toMatchObject({
      name: 'cfg=1.5 interval=0.2:0.8 steps=25',
      folder: 'cfg-1.5_interval-0.2-0.8_steps-25',
      options: { guidance: 1.5, interval: [0.2, 0.8], steps: 25, sampler: 'euler' },
    });
  });

  test.each([
    ['cfg=1|2,steps=5', undefined],
    ['steps=5|10', undefined],
    ['cfg=1.5|2,steps=5|10', { name: 'cfg=1 steps=5', guided: false }],
    ['steps=5,convention=scale-s', { name: 'steps=5 convention=scale-s guidance=0', guided: false }],
    ['cfg=0|1,convention=scale-s', undefined],
    ['internal-guidance=1|2,steps=5', undefined],
    ['internal-guidance=1.5|2,internal-interval=0:0.9', { name: 'guidance=1', guided: false }],
  ])('%s lacks an unguided setting: %j', (spec, unguided) => {
    const parsed = parseSweep(spec);
    if (unguided) expect(parsed.unguided).toMatchObject(unguided);
    else expect(parsed.unguided).toBeUndefined();
  });

  test.each([
    ['cfg=a', /--sweep cfg=a: guidance must be a number/],
    ['cfg=3:1:0.5', /3:1:0\.5 has no values/],
    ['wrong=1', /'wrong=1' is not one of cfg=, interval=/],
    ['num=3', /'num=3' is not one of/],
    ['cfg', /'cfg' is not one of/],
    ['cfg=1,guidance=2', /sets guidance twice/],
    ['interval=0.2', /interval must be two numbers/],
  ])('%s is refused', (spec, message) => {
    expect(() => parseSweep(spec)).toThrow(message);
  });
});

describe('maetok evaluate --sweep', () => {
  const out = join(root, 'sweep.csv');
  const sweep = (...words: string[]) =>
    maetok(
      ...['evaluate', run, '--sweep', 'cfg=3|30,steps=2', '--reference', SCENES, '--features', 'pixels'],
      ...['--num', '4,6', '--best', '1', '--bootstrap', '2', '--out', out, ...words],
    );

  test('every setting on few samples; the best, with guidance and without, on many; a chart; samples kept', async () => {
    const { code, stderr } = await sweep();
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toMatch(/no setting is unguided; cfg=1 steps=2 is measured too/);
    const table = rows(out);
    const few = table.slice(0, 3);
    expect(few.map(({ guidance, samples, choice }) => [guidance, samples, choice])).toEqual([
      ['3', '4', ''],
      ['30', '4', ''],
      ['1', '4', ''],
    ]);
    const best = Number(few[0].fd) < Number(few[1].fd) ? '3' : '30';
    const many = Object.fromEntries(table.slice(3).map(row => [row.choice, row]));
    expect(many).toMatchObject({
      unguided: { guidance: '1', samples: '6' },
      'best guided': { guidance: best, samples: '6' },
    });
    expect(Number(table[3].fd_low)).toBeLessThan(Number(table[3].fd));
    expect(table[0]).not.toHaveProperty('fid');
    const [plain, guided] = ['unguided', 'best guided'].map(choice => Number(many[choice].fd));
    expect(stderr).toContain(`best: ${many[guided < plain ? 'best guided' : 'unguided'].setting}, fd`);
    expect(stderr).toContain(
      `fd: unguided ${plain.toPrecision(5)} (cfg=1 steps=2); best guided ${guided.toPrecision(5)} (cfg=${best} steps=2), ` +
        'the least of 2, judged by the samples that chose it',
    );
    expect(JSON.parse(readFileSync(`${out}.protocol.json`, 'utf8'))).toMatchObject({
      selection: { least: 'fd', guided_settings: 2, unguided_settings: 1, caution: expect.stringMatching(/samples/) },
    });
    expect(readFileSync(join(root, 'sweep-fd.svg'), 'utf8')).toContain('guidance');
    const grids = readdirSync(join(root, 'sweep-samples', `cfg-${best}_steps-2`)).filter(name => /png$/.test(name));
    expect(grids).toHaveLength(6);
  });

  test('is kept by default; is completed with what is missing, to the same result', async () => {
    expect((await sweep()).code).toBe(1);
    const whole = readFileSync(out, 'utf8');
    const [head, first] = whole.split('\n');
    writeFileSync(out, `${head}\n${first}\n`);
    rmSync(join(root, 'sweep-fd.svg'));
    const { code, stderr } = await sweep('--resume');
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).not.toMatch(/cfg=3 steps=2: fd .* of 4 samples/);
    expect(readFileSync(out, 'utf8')).toBe(whole);
    expect(existsSync(join(root, 'sweep-fd.svg'))).toBe(true);
  });

  test('does not resume what was measured differently', async () => {
    const { code, stderr } = await sweep('--resume', '--seed', '1');
    expect(code).toBe(2);
    expect(stderr).toMatch(/sweep\.csv: was begun with seed 0, now 1/);
  });

  test('two ranks write the table and the chart of one, bit for bit; what is missing is completed by three', async () => {
    const [one, two] = ['one', 'two'].map(name => join(root, `${name}.csv`));
    const words = (at: string) => [
      ...['evaluate', run, '--sweep', 'cfg=1|3|30,steps=2', '--reference', SCENES, '--features', 'pixels'],
      ...['--num', '4,6', '--best', '1', '--bootstrap', '2', '--batch-size', '2', '--quiet', '--out', at],
    ];
    expect((await maetok(...words(one))).code).toBe(0);
    const codes = (await maetokByRanks(2, ...words(two))).map(({ code }) => code);
    expect(codes).toEqual([0, 0]);
    const whole = readFileSync(one, 'utf8');
    expect(readFileSync(two, 'utf8')).toBe(whole);
    const chart = (name: string) => readFileSync(join(root, `${name}-fd.svg`), 'utf8');
    expect(chart('two')).toBe(chart('one'));
    const [head, first] = whole.split('\n');
    writeFileSync(two, `${head}\n${first}\n`);
    rmSync(join(root, 'two-samples', 'cfg-3_steps-2', '000002.png'));
    for (const { code } of await maetokByRanks(3, ...words(two), '--resume')) expect(code).toBe(0);
    expect(readFileSync(two, 'utf8')).toBe(whole);
  });

  test('ranks that are interrupted keep what was measured, as one process does', async () => {
    const at = join(root, 'stopped.csv');
    const stop = new AbortController();
    const ended = await asRanks(2, communicator => {
      const watched = {
        ...communicator,
        allGather: async (bytes: Uint8Array) => {
          if (existsSync(at)) stop.abort();
          return await communicator.allGather(bytes);
        },
      };
      return maetokWith(
        { communicator: watched, signal: stop.signal },
        ...['evaluate', run, '--sweep', 'cfg=1|3|30,steps=2', '--reference', SCENES, '--features', 'pixels'],
        ...['--num', '4', '--bootstrap', '0', '--batch-size', '2', '--quiet', '--out', at],
      );
    });
    expect(ended.map(({ code }) => code)).toEqual([130, 130]);
    expect(ended[0].stderr).toMatch(/interrupted; what was measured is in .*stopped\.csv; .* --resume continues/);
    expect(rows(at).map(({ setting }) => setting)).toEqual(['cfg=1 steps=2']);
  });

  test.each([
    ['no table', ['--reference', SCENES, '--features', 'hog'], /--sweep needs --out FILE\.csv/],
    ['no extractor', ['--reference', SCENES, '--out', 'x.csv'], /--sweep needs --features/],
    ['no reference', ['--features', 'hog', '--out', 'x.csv'], /--sweep needs --reference/],
    [
      'nothing to rank by',
      ['--reference', SCENES, '--features', 'hog', '--out', join(root, 'x.csv'), '--metrics', 'kid'],
      /--metrics needs fid/,
    ],
  ])('%s', async (_, words, message) => {
    const { code, stderr } = await maetok('evaluate', run, '--sweep', 'cfg=1', ...words, '--quiet');
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';
import { defineTrainable } from '../../src/jobs/train/trainable.js';
import { TRAINABLES } from '../../src/jobs/train/names.js';
import { maetok, maetokWith } from '../helpers/cli.js';
import { whileHeld } from '../helpers/holder.js';
import { tempFolder } from '../helpers/temp.js';
import { regression } from '../training/tiny.js';

const folder = tempFolder();
let count = 0;
const fresh = (): string => join(folder, `run-${count++}`);

/** A stand-in model, so that the command is tested apart from the real ones. */
beforeAll(() => {
  TRAINABLES.tiny = () =>
    Promise.resolve(
      defineTrainable({
        describe: 'a regression',
        examples: [['maetok train tiny --out runs/tiny', 'the whole of it']],
        options: z.object({
          rows: z.coerce.number().default(8).describe('rows of a batch'),
          data: z.string().optional(),
        }),
        free: ['data'],
        settings: ({ rows }) => ({ steps: 8, batchSize: rows, lr: 0.02, ema: 0.5, logEvery: 2 }),
        prepare: ({ options: { rows } }) =>
          Promise.resolve({
            task: regression({ rows }),
            network: { hidden: 5 },
            inputs: { data: 'digest' },
          }),
      }),
    );
});

const config = (out: string): unknown => parse(readFileSync(join(out, 'config.yaml'), 'utf8'));

describe('maetok train', () => {
  it('resolves settings: defaults, then the model’s, then flags', async () => {
    const out = fresh();
    const { code, stderr } = await maetok(
      'train',
      'tiny',
      '--out',
      out,
      '--lr',
      '0.5',
      '--seed',
      '3',
      '--data',
      'here',
    );
    expect(stderr).toMatch(/tiny: 8 steps done, saved in/);
    expect(code).toBe(0);
    expect(config(out)).toMatchObject({
      model: 'tiny',
      precision: 'f32',
      options: { rows: 8, data: 'here' },
      network: { hidden: 5 },
      training: { steps: 8, lr: 0.5, seed: 3, ema: 0.5, betas: [0.9, 0.95] },
    });
    expect(JSON.parse(readFileSync(join(out, 'run.json'), 'utf8'))).toMatchObject({
      engine: expect.any(String),
      inputs: { data: 'digest' },
      sessions: [{ command: ['train', 'tiny', '--out', out, '--lr', '0.5', '--seed', '3', '--data', 'here'] }],
    });
  });

  it('continues with just --resume, or with more steps, using the original flags', async () => {
    const [whole, parts] = [fresh(), fresh()];
    await maetok('train', 'tiny', '--out', whole, '--rows', '4', '--steps', '12');
    await maetok('train', 'tiny', '--out', parts, '--rows', '4', '--steps', '5');
    const { code, stderr } = await maetok('train', 'tiny', '--out', parts, '--resume', '--steps', '12');
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const model = (out: string) => readFileSync(join(out, 'checkpoints', 'step-12', 'model.safetensors'));
    expect(model(parts).equals(model(whole))).toBe(true);
  });

  it('is interrupted with exit code 130 and says how to resume', async () => {
    const out = fresh();
    const abort = new AbortController();
    abort.abort();
    const { code, stderr } = await maetokWith({ signal: abort.signal }, 'train', 'tiny', '--out', out);
    expect(code).toBe(130);
    expect(stderr).toMatch(/interrupted; step 1 is saved in .*, --resume continues from it/);
    expect((await maetok('train', 'tiny', '--out', out, '--resume')).code).toBe(0);
  });

  it('tells what a run would be, and writes nothing, with --dry-run', async () => {
    const out = fresh();
    const { code, stdout } = await maetok('train', 'tiny', '--out', out, '--dry-run');
    expect(code).toBe(0);
    expect(parse(stdout)).toMatchObject({
      model: 'tiny',
      training: { steps: 8, batchSize: 8 },
      parameters: { main: 27, main_trained: 25 },
      memory: { weights_and_state_bytes: 4 * (27 + 4 * 25), process_peak_bytes: expect.any(Number) },
      seconds_per_step: expect.any(Number),
    });
    expect(existsSync(out)).toBe(false);
  });

  it('shows a model’s own options and the shared ones', async () => {
    const { stdout } = await maetok('train', 'tiny', '--help-all');
    expect(stdout).toMatch(/--rows NUMBER +rows of a batch/);
    expect(stdout).toMatch(/--checkpoint-every/);
    expect((await maetok('train', '--help')).stdout).toMatch(/model: .*tiny/);
  });

  it.each([
    [['train', 'tiny', '--latents', 'x'], /Unknown argument: latents/],
    [['train', 'nothing', '--steps', '3'], /train: no model is called 'nothing'; there are .*tiny/],
    [['train'], /train needs a <model>/],
    [['train', 'tiny', '--out', 'x', '--steps', 'many'], /--steps must be a number/],
    [['train', 'tiny', '--out', 'x', '--ema', '1'], /--ema must be below 1/],
    [['train', 'tiny'], /--out is required/],
    [['train', 'tiny', '--out', 'package.json/run'], /--out package.json\/run: .*package.json is not a folder/],
    [['train', 'tiny', '--out', join(folder, 'absent'), '--resume'], /holds no run to resume/],
    [['train', 'ae', '--out', join(folder, 'absent'), '--resume'], /holds no run to resume/],
  ])('refuses %j in one line', async (words, message) => {
    const { code, stderr } = await maetok(...words);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(message);
    expect(code).toBeGreaterThan(0);
  });

  it('is refused, with whatever flags, while another process trains there', async () => {
    const out = fresh();
    await maetok('train', 'tiny', '--out', out);
    const before = readFileSync(join(out, 'metrics.csv'), 'utf8');
    await whileHeld(out, async ({ pid }) => {
      for (const flags of [['--resume', '--steps', '20'], ['--force'], []]) {
        const { code, stderr } = await maetok('train', 'tiny', '--out', out, ...flags);
        expect([code, stderr]).toEqual([
          1,
          expect.stringMatching(new RegExp(`^maetok: ${out}: in use by process ${pid} .*\n$`)),
        ]);
      }
    });
    expect(readFileSync(join(out, 'metrics.csv'), 'utf8')).toBe(before);
    expect((await maetok('train', 'tiny', '--out', out, '--resume', '--steps', '20')).code).toBe(0);
    const steps = readFileSync(join(out, 'metrics.csv'), 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map(row => Number.parseInt(row));
    expect(steps).toEqual([2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
  });

  it('refuses an occupied folder before it opens any data', async () => {
    const out = fresh();
    await maetok('train', 'tiny', '--out', out);
    const again = await maetok('train', 'tiny', '--out', out);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringMatching(/holds another run; --resume .*, --force/) });
    expect((await maetok('train', 'tiny', '--out', out, '--force')).code).toBe(0);
  });
});

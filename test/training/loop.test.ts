import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'csv-parse/sync';
import { silentLog } from '../../src/base/index.js';
import { startEngine, tf, type Tensor } from '../../src/engine/index.js';
import { readRun, readSafetensors, sha256OfFile } from '../../src/io/index.js';
import type { TrainingTask } from '../../src/training/index.js';
import { tempFolder } from '../helpers/temp.js';
import { drawRows, options, regression, settings, train, trainTiny, watching } from './tiny.js';

const folder = tempFolder();
let count = 0;
const fresh = (): string => join(folder, `run-${count++}`);

beforeAll(async () => {
  await startEngine();
});

const text = (out: string, name: string): string => readFileSync(join(out, name), 'utf8');
const table = (out: string, name = 'metrics.csv'): Record<string, string>[] =>
  parse(text(out, name), { columns: true });
const numbers = (out: string, column: string): number[] => table(out).map(row => Number(row[column]));

async function digests(out: string): Promise<string[]> {
  const { checkpoint } = await readRun(out);
  return await Promise.all(
    readdirSync(checkpoint)
      .sort()
      .map(async file => `${file} ${await sha256OfFile(join(checkpoint, file))}`),
  );
}

describe('a run', () => {
  it('learns, and leaves config, information, metrics, events and its newest checkpoints', async () => {
    const out = fresh();
    const result = await trainTiny(out, { steps: 200, lr: 0.05, checkpointEvery: 20, keep: 3 });
    expect(result).toEqual({ step: 200, out });
    const losses = numbers(out, 'loss');
    expect(losses.at(-1)).toBeLessThan(0.3 * losses[0]);
    expect(readdirSync(join(out, 'checkpoints')).sort()).toEqual(['step-160', 'step-180', 'step-200']);
    expect(text(out, 'latest')).toBe('step-200\n');
    expect(readdirSync(out).filter(name => name.startsWith('events.out.tfevents.'))).toHaveLength(1);
    const run = await readRun(out);
    expect(run.config).toMatchObject({ model: 'regression', network: { hidden: 5 }, training: { lr: 0.05 } });
    expect(run.info).toMatchObject({
      seed: 0,
      inputs: { data: 'abc' },
      sessions: [{ from: 0, to: 200, outcome: 'done', command: ['train', 'regression'] }],
    });
    expect(run.step).toBe(200);
  });

  it('logs means since the last row, each step once', async () => {
    const [each, fourth] = [fresh(), fresh()];
    await trainTiny(each, { logEvery: 1 });
    await trainTiny(fourth, { logEvery: 4 });
    expect(numbers(each, 'step')).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(numbers(fourth, 'step')).toEqual([4, 8, 12]);
    const losses = numbers(each, 'loss');
    const means = [0, 4, 8].map(start => losses.slice(start, start + 4).reduce((a, b) => a + b) / 4);
    expect(numbers(fourth, 'loss')).toBeAllClose(means, { rtol: 1e-7 });
    expect(Object.keys(table(each)[0])).toEqual(['step', 'loss', 'mae', 'size', 'grad_norm', 'lr', 'skipped']);
  });

  it('keeps frozen parameters and sets buffers', async () => {
    const out = fresh();
    await trainTiny(out);
    const model = await readSafetensors(join((await readRun(out)).checkpoint, 'model.safetensors'));
    expect(model.scale.data[0]).toBe(1.5);
    expect(model.seen.data[0]).toBe(12);
  });

  it('says nothing new on a wall clock: two equal runs are equal in every byte of tables and weights', async () => {
    const [a, b] = [fresh(), fresh()];
    await trainTiny(a);
    await trainTiny(b);
    expect(text(a, 'metrics.csv')).toBe(text(b, 'metrics.csv'));
    expect(await digests(a)).toEqual(await digests(b));
  });

  it('leaves no tensors behind, from step to step and at its end', async () => {
    const before = tf.memory().numTensors;
    const seen: number[] = [];
    const log = watching(() => seen.push(tf.memory().numTensors));
    await trainTiny(fresh(), { accumulate: 2, steps: 9 }, { log });
    expect(new Set(seen.slice(2, -1)).size).toBe(1);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('resuming', () => {
  const steps = { steps: 20, checkpointEvery: 7, logEvery: 3 };

  it.each([1, 3, 9, 14])('after an interruption at step %i gives the numbers of a run that never stopped', async at => {
    const [whole, parts] = [fresh(), fresh()];
    await trainTiny(whole, steps);
    const abort = new AbortController();
    const log = watching(step => step === at && abort.abort());
    await expect(trainTiny(parts, steps, { log, signal: abort.signal })).rejects.toMatchObject({
      exitCode: 130,
      message: expect.stringContaining(`step ${at} is saved`),
    });
    expect((await readRun(parts)).step).toBe(at);
    await trainTiny(parts, steps, { resume: true });
    expect(text(parts, 'metrics.csv')).toBe(text(whole, 'metrics.csv'));
    expect(await digests(parts)).toEqual(await digests(whole));
    expect((await readRun(parts)).info.sessions).toMatchObject([
      { outcome: 'interrupted', from: 0, to: at },
      { outcome: 'done', from: at, to: 20 },
    ]);
  });

  it('continues for more steps, and does nothing if they are done', async () => {
    const out = fresh();
    await trainTiny(out, { steps: 6 });
    await trainTiny(out, { steps: 10 }, { resume: true });
    expect(await trainTiny(out, { steps: 10 }, { resume: true })).toEqual({ step: 10, out });
    expect((await readRun(out)).step).toBe(10);
  });

  it('is refused with every differing setting named, before anything changes', async () => {
    const out = fresh();
    await trainTiny(out);
    const before = text(out, 'run.json');
    const config = { ...options(out).config, network: { hidden: 6 } };
    const resumed = trainTiny(out, { lr: 0.5, clip: 2 }, { resume: true, config, inputs: { data: 'other' } });
    await expect(resumed).rejects.toThrow(
      /lr was 0.01, now 0.5, clip was 1, now 2, network\.hidden was 5, now 6, input data was "abc", now "other"/,
    );
    expect(text(out, 'run.json')).toBe(before);
  });

  it('may change what does not touch the numbers', async () => {
    const out = fresh();
    await trainTiny(out);
    const config = { ...options(out).config, options: { rows: 9 } };
    await trainTiny(out, { logEvery: 2, keep: 1, steps: 14 }, { resume: true, free: ['rows'], config });
    expect((await readRun(out)).step).toBe(14);
  });

  it('needs a run', async () => {
    await expect(trainTiny(fresh(), {}, { resume: true })).rejects.toThrow(/no run to resume/);
  });
});

describe('a folder that holds another run', () => {
  it('is refused, untouched', async () => {
    const out = fresh();
    await trainTiny(out);
    const before = text(out, 'config.yaml');
    await expect(trainTiny(out, { lr: 1 })).rejects.toThrow(/holds another run; --resume continues it, --force/);
    expect(text(out, 'config.yaml')).toBe(before);
  });

  it('is replaced by force, and nothing else in it', async () => {
    const out = fresh();
    await trainTiny(out, { steps: 30 });
    readdirSync(out);
    const { writeFileSync } = await import('node:fs');
    writeFileSync(join(out, 'notes.csv'), 'mine\n');
    await trainTiny(out, { steps: 4 }, { force: true });
    expect((await readRun(out)).step).toBe(4);
    expect(numbers(out, 'step')).toEqual([4]);
    expect(text(out, 'notes.csv')).toBe('mine\n');
  });
});

describe('steps that are not finite', () => {
  /** NaN at the given batch indices, and a gradient that is NaN although the loss is not where `quietly`. */
  const broken = (at: (index: number) => boolean, quietly = false): TrainingTask =>
    regression({
      loss: (difference, index) => {
        const loss = difference.square().mean();
        if (!at(index)) return loss;
        // The root's slope at 0 is infinite, times 0.
        return quietly ? loss.add(difference.sub(difference).sum().sqrt().mul(0)) : loss.mul(NaN);
      },
    });

  it.each([false, true])('are skipped and counted, and change nothing (in the gradient alone: %s)', async quietly => {
    const out = fresh();
    await train(
      broken(index => index === 2 || index === 5, quietly),
      settings({ logEvery: 1, steps: 8 }),
      options(out),
    );
    expect(numbers(out, 'skipped')).toEqual([0, 0, 1, 1, 1, 2, 2, 2]);
    expect(table(out)[2].loss).toBe('nan');
    const { checkpoint } = await readRun(out);
    const model = await readSafetensors(join(checkpoint, 'model.safetensors'));
    expect(model.seen.data[0]).toBe(6);
    expect([...(model['in.weight'].data as Float32Array)].every(Number.isFinite)).toBe(true);
    const optimizer = await readSafetensors(join(checkpoint, 'optimizer.safetensors'));
    expect(optimizer.updates.data[0]).toBe(6);
  });

  it('stop the run after ten in a row, with the last good checkpoint kept', async () => {
    const out = fresh();
    const run = train(
      broken(index => index >= 7),
      settings({ steps: 40, checkpointEvery: 5 }),
      options(out),
    );
    await expect(run).rejects.toMatchObject({
      exitCode: 1,
      message: expect.stringMatching(/step 17: .* not finite in 10 steps in a row/),
    });
    const { info, step } = await readRun(out);
    expect(step).toBeLessThanOrEqual(15);
    expect(info.sessions).toMatchObject([{ outcome: 'diverged' }]);
  });

  it('are counted across a resume', async () => {
    const [whole, parts] = [fresh(), fresh()];
    const task = (): TrainingTask => broken(index => index === 3 || index === 4 || index === 8);
    await train(task(), settings(), options(whole));
    const abort = new AbortController();
    const log = watching(step => step === 4 && abort.abort());
    await expect(train(task(), settings(), options(parts, { log, signal: abort.signal }))).rejects.toThrow();
    await train(task(), settings(), options(parts, { resume: true }));
    expect(text(parts, 'metrics.csv')).toBe(text(whole, 'metrics.csv'));
    expect(await digests(parts)).toEqual(await digests(whole));
  });
});

/** Gradient of a quadratic that is known in closed form: loss ½ |p − target|² on one parameter. */
const quadratic = (batch: TrainingTask['batch'], more: Partial<TrainingTask> = {}): TrainingTask => ({
  name: 'quadratic',
  params: { p: tf.tensor2d([[0, 0]]) },
  batch,
  loss: ({ p }, target) => ({
    loss: p
      .sub(target as Tensor)
      .square()
      .sum()
      .mul(0.5),
    metrics: {},
  }),
  ...more,
});

describe('clipping', () => {
  it('scales the whole gradient to the given norm and logs the norm before', async () => {
    const [out, free] = [fresh(), fresh()];
    const task = () => quadratic(() => Promise.resolve(tf.tensor2d([[3, 4]])));
    await train(task(), settings({ steps: 1, logEvery: 1, clip: 0.5 }), options(out));
    await train(task(), settings({ steps: 1, logEvery: 1, clip: 0 }), options(free));
    expect(numbers(out, 'grad_norm')).toBeAllClose([5], { rtol: 1e-6 });
    const moment = async (run: string) =>
      (await readSafetensors(join((await readRun(run)).checkpoint, 'optimizer.safetensors')))['m.p'].data;
    expect(await moment(out)).toBeAllClose([-0.03, -0.04], { rtol: 1e-5 });
    expect(await moment(free)).toBeAllClose([-0.3, -0.4], { rtol: 1e-5 });
  });
});

describe('accumulation', () => {
  it('over two batches is a step on both together', async () => {
    const [halves, whole] = [fresh(), fresh()];
    const task = (batch: TrainingTask['batch']): TrainingTask => ({
      ...(regression() as TrainingTask),
      batch,
      loss: (params, batch, context) => {
        const { x, y } = batch as { x: Tensor; y: Tensor };
        const hidden = tf.tanh(tf.matMul(x as never, params['in.weight'] as never, false, true));
        const found = tf.matMul(hidden, params['out.weight'], false, true);
        expect(context.step).toBeGreaterThanOrEqual(0);
        return { loss: found.sub(y).square().mean(), metrics: {} };
      },
    });
    const joined = (index: number) => {
      const [a, b] = [drawRows(2 * index, 4), drawRows(2 * index + 1, 4)];
      return Promise.resolve({ x: tf.concat([a.x, b.x]), y: tf.concat([a.y, b.y]) });
    };
    const common = { steps: 6, logEvery: 1 };
    await train(
      task(index => Promise.resolve(drawRows(index, 4))),
      settings({ ...common, accumulate: 2 }),
      options(halves),
    );
    await train(task(joined), settings(common), options(whole));
    expect(numbers(halves, 'loss')).toBeAllClose(numbers(whole, 'loss'), { rtol: 1e-5 });
    expect(numbers(halves, 'grad_norm')).toBeAllClose(numbers(whole, 'grad_norm'), { rtol: 1e-5 });
  });
});

describe('the moving average', () => {
  it('is decay · average + (1 − decay) · weights over the steps', async () => {
    const out = fresh();
    await trainTiny(out, { ema: 0.8, steps: 3, checkpointEvery: 1, keep: 9 });
    const at = async (step: number, file: string) =>
      (await readSafetensors(join(out, 'checkpoints', `step-${step}`, file)))['in.weight'].data as Float32Array;
    const [before, weights, after] = [
      await at(1, 'ema.safetensors'),
      await at(2, 'model.safetensors'),
      await at(2, 'ema.safetensors'),
    ];
    expect(after).toBeAllClose(
      before.map((a, i) => 0.8 * a + 0.2 * weights[i]),
      { rtol: 1e-6 },
    );
  });

  it('is not kept where its decay is 0', async () => {
    const out = fresh();
    await trainTiny(out, { ema: 0 });
    expect(existsSync(join((await readRun(out)).checkpoint, 'ema.safetensors'))).toBe(false);
  });
});

describe('phases', () => {
  /** A critic of the network's output, with a loss of its own on what the task shares; it starts at step 3. */
  const adversarial = (start: number): TrainingTask => {
    const task = regression() as TrainingTask;
    return {
      ...task,
      phases: {
        critic: {
          params: { w: tf.tensor2d([[0.5]]), seen: tf.scalar(0) },
          trains: name => name === 'w',
          start,
          lr: 0.1,
          loss: ({ w, seen }, batch, { shared, phases }) => ({
            loss: tf
              .matMul(shared.found as never, w as never)
              .sub((batch as { y: Tensor }).y)
              .square()
              .mean(),
            metrics: { main_scale: phases.main.scale as never },
            buffers: { seen: seen.add(1) },
          }),
        },
      },
    };
  };

  it('train their own parameters from their first step on, at their own rate, and are resumed', async () => {
    const [whole, parts] = [fresh(), fresh()];
    const common = settings({ logEvery: 1, steps: 8, checkpointEvery: 4 });
    await train(adversarial(3), common, options(whole));
    const rows = table(whole);
    expect(rows.map(row => row.critic_loss === '')).toEqual([true, true, true, false, false, false, false, false]);
    expect(rows[4]).toMatchObject({ critic_main_scale: '1.5' });
    const { checkpoint } = await readRun(whole);
    const critic = await readSafetensors(join(checkpoint, 'phase-critic.safetensors'));
    expect(critic.seen.data[0]).toBe(5);
    const abort = new AbortController();
    const log = watching(step => step === 6 && abort.abort());
    await expect(train(adversarial(3), common, options(parts, { log, signal: abort.signal }))).rejects.toThrow();
    await train(adversarial(3), common, options(parts, { resume: true }));
    expect(text(parts, 'metrics.csv')).toBe(text(whole, 'metrics.csv'));
    expect(await digests(parts)).toEqual(await digests(whole));
  });

  it('that would start after the last step are refused before the first', async () => {
    const out = fresh();
    await expect(train(adversarial(12), settings(), options(out))).rejects.toThrow(
      /the critic would start at step 12, after the last of 12 steps/,
    );
    expect(existsSync(out)).toBe(false);
  });
});

describe('evaluation', () => {
  it('sees weights and average, and fills validation.csv and tables of the task’s own, cut on resume', async () => {
    const out = fresh();
    const steps: number[] = [];
    const task = (): TrainingTask => ({
      ...(regression() as TrainingTask),
      evaluate: ({ step, params, ema }) => {
        steps.push(step);
        expect(Object.keys(params)).toEqual(Object.keys(ema!));
        return Promise.resolve({
          tables: { validation: [{ score: step / 2 }], bins: [0, 1].map(bin => ({ bin, name: `b${bin}` })) },
        });
      },
    });
    const abort = new AbortController();
    const log = watching(step => step === 7 && abort.abort());
    await expect(train(task(), settings(), options(out, { log, signal: abort.signal }))).rejects.toThrow();
    await train(task(), settings(), options(out, { resume: true }));
    expect(steps).toEqual([6, 12]);
    expect(text(out, 'validation.csv')).toBe('step,score\n6,3\n12,6\n');
    expect(text(out, 'bins.csv')).toBe('step,bin,name\n6,0,b0\n6,1,b1\n12,0,b0\n12,1,b1\n');
  });
});

describe('failures', () => {
  it('of the engine for want of memory say what would fit', async () => {
    const task = {
      ...(regression() as TrainingTask),
      loss: () => {
        throw new Error('RESOURCE_EXHAUSTED: OOM when allocating');
      },
    };
    await expect(train(task, settings(), options(fresh()))).rejects.toThrow(
      /a batch of 8 does not fit into memory; --batch-size 4 --accumulate 2/,
    );
  });

  it('of a full disk say what is saved and how to resume', async () => {
    const out = fresh();
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    const task = { ...(regression() as TrainingTask), evaluate: () => Promise.reject(full) };
    await expect(train(task, settings(), options(out))).rejects.toMatchObject({
      exitCode: 1,
      message: `${out}: the disk is full at step 6; the checkpoint of step 5 is intact; free some space and continue with --resume`,
    });
  });

  it('of a batch stop the run and are passed on', async () => {
    const task = {
      ...(regression() as TrainingTask),
      batch: (index: number) =>
        index < 3 ? Promise.resolve(drawRows(index, 2)) : Promise.reject(new Error('no more data')),
    };
    await expect(train(task, settings(), options(fresh(), { log: silentLog }))).rejects.toThrow('no more data');
  });
});

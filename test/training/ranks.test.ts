import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'csv-parse/sync';
import { alone, type Communicator } from '../../src/distributed/index.js';
import { startEngine, tf } from '../../src/engine/index.js';
import { readRun, readSafetensors } from '../../src/io/index.js';
import { portionOf, type TrainingSettings, type TrainingTask } from '../../src/training/index.js';
import { asRanks } from '../helpers/ranks.js';
import { tempFolder } from '../helpers/temp.js';
import { options, regression, settings, train, watching } from './tiny.js';

const folder = tempFolder();
let count = 0;
const fresh = (): string => join(folder, `run-${count++}`);

beforeAll(async () => {
  await startEngine();
});

type More = Partial<Parameters<typeof options>[1]>;
type Task = ReturnType<typeof regression>;
type MakeTask = (communicator: Communicator, chosen: TrainingSettings) => Task;

const tiny: MakeTask = (communicator, chosen) =>
  regression({ rows: chosen.batchSize, portion: portionOf(communicator, chosen) });

/** Trains on `size` ranks into a folder that only rank 0 may touch; the others are given one that does not exist. */
async function trainOn(
  size: number,
  changes: Partial<TrainingSettings>,
  {
    out = fresh(),
    make = tiny,
    more = () => ({}),
  }: { out?: string; make?: MakeTask; more?: (rank: number) => More } = {},
): Promise<string> {
  const chosen = settings({ logEvery: 1, checkpointEvery: 100, ...changes });
  const one = async (communicator: Communicator): Promise<void> => {
    const { rank } = communicator;
    const place = rank === 0 ? out : `${out}-of-rank-${rank}`;
    const task = make(communicator, chosen) as TrainingTask;
    await train(task, chosen, options(place, { communicator, ...more(rank) })).finally(() => {
      if (rank > 0) expect(existsSync(place)).toBe(false);
    });
  };
  if (size === 1) await one(alone);
  else await asRanks(size, one);
  return out;
}

const table = (out: string): Record<string, string>[] =>
  parse(readFileSync(join(out, 'metrics.csv'), 'utf8'), { columns: true });
const numbers = (out: string, column: string): number[] => table(out).map(row => Number(row[column]));

async function weights(out: string, file = 'model'): Promise<Record<string, ArrayLike<number>>> {
  const arrays = await readSafetensors(join((await readRun(out)).checkpoint, `${file}.safetensors`));
  return Object.fromEntries(Object.entries(arrays).map(([name, { data }]) => [name, data as Float32Array]));
}

async function expectSameRun(found: string, expected: string, rtol = 1e-5): Promise<void> {
  for (const column of ['loss', 'mae', 'grad_norm'])
    expect(numbers(found, column)).toBeAllClose(numbers(expected, column), { rtol });
  const [a, b] = [await weights(found), await weights(expected)];
  for (const name in b) expect(a[name]).toBeAllClose(b[name], { rtol: 20 * rtol, atol: 1e-5 });
}

describe('several ranks make the steps that one process makes', () => {
  it.each([
    ['each with batches of its own', 2, { accumulate: 4 }],
    ['each with rows of every batch', 4, { accumulate: 1 }],
    ['in groups with batches of their own, whose rows they share', 6, { accumulate: 2, batchSize: 9 }],
  ])('%s', async (_, size, changes) => {
    await expectSameRun(await trainOn(size, changes), await trainOn(1, changes));
  });

  it('and log who they were', async () => {
    const { info } = await readRun(await trainOn(2, { accumulate: 2, steps: 2 }));
    expect(info.sessions).toMatchObject([{ ranks: 2, hosts: 1, from: 0, to: 2, outcome: 'done' }]);
  });

  it('from the parameters that rank 0 starts with', async () => {
    const changed: MakeTask = (communicator, chosen) => {
      const task = tiny(communicator, chosen);
      if (communicator.rank > 0) task.params['in.bias'] = tf.fill([5], communicator.rank);
      return task;
    };
    const found = await trainOn(2, { accumulate: 2 }, { make: changed });
    await expectSameRun(found, await trainOn(1, { accumulate: 2 }));
  });

  it('where a parameter has a gradient on some ranks only, or on none', async () => {
    const make: MakeTask = (communicator, chosen) => {
      const task = tiny(communicator, chosen);
      return {
        ...task,
        params: { ...task.params, second: tf.ones([2]), unused: tf.ones([2]) },
        loss: (params, batch, context) => {
          const found = task.loss(params, batch, context);
          if (batch.index % 2 === 0) return found;
          return { ...found, loss: found.loss.add(params.second.square().sum()) };
        },
      };
    };
    const changes = { accumulate: 2, steps: 6 };
    const [found, expected] = [await trainOn(2, changes, { make }), await trainOn(1, changes, { make })];
    const [a, b] = [await weights(found), await weights(expected)];
    for (const name of ['second', 'unused']) expect(a[name]).toBeAllClose(b[name], { rtol: 1e-5 });
    expect((await weights(found, 'optimizer'))['m.unused']).toEqual(Float32Array.of(0, 0));
  });
});

describe('a run on several ranks', () => {
  const whole = { accumulate: 6, steps: 12 };

  it.each([
    [2, 3],
    [3, 1],
    [1, 2],
  ])('begun on %i and resumed on %i is the run that never stopped', async (before, after) => {
    const abort = new AbortController();
    const log = watching(step => step === 5 && abort.abort());
    const out = fresh();
    const stopped = trainOn(before, whole, { out, more: () => ({ log, signal: abort.signal }) });
    await expect(stopped).rejects.toMatchObject({ exitCode: 130 });
    await trainOn(after, whole, { out, more: () => ({ resume: true }) });
    await expectSameRun(out, await trainOn(1, whole));
    expect((await readRun(out)).info.sessions).toMatchObject([{ ranks: before }, { ranks: after }]);
  });

  it('stops after the same step everywhere when one rank is interrupted', async () => {
    const abort = new AbortController();
    const out = fresh();
    const ended: unknown[] = [];
    const stopped = trainOn(
      3,
      { accumulate: 3, steps: 50 },
      {
        out,
        make: (communicator, chosen) => {
          const task = tiny(communicator, chosen);
          if (communicator.rank !== 2) return task;
          return { ...task, batch: index => (index >= 21 && abort.abort(), task.batch(index)) };
        },
        more: rank => (rank === 2 ? { signal: abort.signal } : {}),
      },
    ).catch((error: unknown) => ended.push(error));
    await stopped;
    const { step, info } = await readRun(out);
    expect(ended).toMatchObject([{ exitCode: 130, message: expect.stringContaining(`step ${step} is saved`) }]);
    expect(step).toBeLessThan(15);
    expect(info.sessions).toMatchObject([{ outcome: 'interrupted', to: step }]);
  });

  it('skips a step that is not finite on one of them', async () => {
    const make: MakeTask = (communicator, chosen) => ({
      ...tiny(communicator, chosen),
      ...regression({
        portion: portionOf(communicator, chosen),
        loss: (difference, index) =>
          difference
            .square()
            .mean()
            .mul(index === 5 ? NaN : 1),
      }),
    });
    const changes = { accumulate: 2, steps: 6 };
    const [found, expected] = [await trainOn(2, changes, { make }), await trainOn(1, changes, { make })];
    expect(numbers(found, 'skipped')).toEqual([0, 0, 1, 1, 1, 1]);
    expect(numbers(found, 'skipped')).toEqual(numbers(expected, 'skipped'));
    expect((await weights(found))['out.weight']).toBeAllClose((await weights(expected))['out.weight'], { rtol: 1e-4 });
  });

  it('leaves no tensors behind', async () => {
    const before = tf.memory().numTensors;
    await trainOn(2, { accumulate: 4, steps: 4 });
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('what several ranks cannot share evenly', () => {
  const refused = (size: number, changes: Partial<TrainingSettings>): (() => unknown) => {
    return () => portionOf({ rank: 0, size }, settings(changes));
  };

  it('is refused with what would fit', () => {
    expect(refused(5, { batchSize: 8, accumulate: 4 })).toThrow(
      '5 ranks cannot share a step of 4 × 8 samples evenly (--accumulate, --batch-size); start 4',
    );
    expect(refused(12, { batchSize: 6, accumulate: 4 })).not.toThrow();
    expect(refused(8, { batchSize: 12, accumulate: 2 })).not.toThrow();
    expect(refused(8, { batchSize: 6, accumulate: 4 })).not.toThrow();
    expect(refused(9, { batchSize: 6, accumulate: 6 })).not.toThrow();
    expect(refused(16, { batchSize: 6, accumulate: 8 })).not.toThrow();
    expect(refused(16, { batchSize: 10, accumulate: 4 })).toThrow('start 10');
  });

  it('is refused where a loss looks at whole batches', async () => {
    const make: MakeTask = (communicator, chosen) => ({ ...tiny(communicator, chosen), wholeBatches: '--disc' });
    await expect(trainOn(2, { accumulate: 3 }, { make })).rejects.toThrow(
      /^--disc: looks at each batch as a whole, and 2 ranks would have to divide batches; give --accumulate 2/,
    );
    await trainOn(3, { accumulate: 3, steps: 1 }, { make });
  });
});

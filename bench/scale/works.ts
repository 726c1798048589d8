import { join } from 'node:path';
import type { Communicator } from '../../src/distributed/index.js';
import { RandomStream, startEngine } from '../../src/engine/index.js';
import { DEFAULT_SETTINGS } from '../../src/training/index.js';
import { Trainer } from '../../src/training/trainer.js';
import { fitMixture, openWorkspace } from '../../src/gmm/index.js';
import { npyRows, selectedRows } from '../../src/rows/index.js';
import { writePlanted } from '../analysis/data.js';
import { median } from '../helpers/table.js';
import { maetok, sit, writeCase, type Work } from '../train/works.js';
import { counting, difference, type Exchanged } from './counting.js';

export interface Measured {
  /** Median of the steps, sums or iterations, in seconds. */
  seconds: number;
  /** What the work came to, to be compared between sides. */
  answer: number;
  /** What one of them exchanged with other ranks. */
  exchanged?: Exchanged;
}

export interface Place {
  /** Where inputs lie that all sides read. */
  folder: string;
  quick: boolean;
  /** Of the rows, batches or numbers, how many to take; default all. */
  part?: number;
}

type ScaleWork = (communicator: Communicator, place: Place) => Promise<Measured>;

/** Writes what the works read. */
export async function prepare({ folder, quick }: Place): Promise<void> {
  const { rows, dims, components: modes } = quick ? QUICK_EM : EM;
  await writePlanted(join(folder, 'rows.npy'), { rows, dims, modes });
  await startEngine();
  await writeCase(peerCase(folder), diffusion(quick));
}

/** Weights and inputs of the diffusion model, for the peer. */
export const peerCase = (folder: string): string => join(folder, 'diffusion.safetensors');

/** A SiT of 20 M parameters. */
export const diffusion = (quick: boolean): Work =>
  quick ? sit('sit-tiny', 2, new RandomStream(0)) : sit('sit-s', 8, new RandomStream(0), { depth: 7 });

/** Batches that are added up in a step of the diffusion model. */
export const ACCUMULATE = 4;

/** Full-covariance EM. */
export const EM = { rows: 100_000, dims: 128, components: 100 };
const QUICK_EM = { rows: 16_384, dims: 16, components: 8 };

/** Its iterations. */
const em: ScaleWork = async (ranks, { folder, quick, part = 1 }) => {
  const { components } = quick ? QUICK_EM : EM;
  const maxIter = quick ? 4 : 7;
  const all = await npyRows(join(folder, 'rows.npy'));
  const source = selectedRows(
    all,
    Int32Array.from({ length: all.rows * part }, (_, row) => row),
  );
  const { communicator, exchanged } = counting(ranks);
  const ws = await openWorkspace(source, { components, covariance: 'full', memory: 8e9, threads: 1, communicator });
  const times: number[] = [];
  const counts: Exchanged[] = [];
  const fit = await fitMixture(ws, {
    components,
    start: 'random',
    restarts: 1,
    regCovar: 1e-3,
    tol: 0,
    maxIter,
    seed: 0,
    onIteration: () => {
      times.push(performance.now());
      counts.push({ ...exchanged });
    },
  });
  await ws.close();
  const steps = times.slice(1).map((at, i) => (at - times[i]) / 1000);
  return {
    seconds: median(steps),
    answer: fit.lowerBounds.at(-1)!,
    exchanged: difference(counts.at(-1)!, counts.at(-2)!),
  };
};

/** Sums of 88 MB of float32. */
const allreduce: ScaleWork = async (communicator, { quick, part = 1 }) => {
  const array = new Float32Array((quick ? 1 << 16 : 22 << 20) * part);
  const times: number[] = [];
  for (let i = -1; i < 9; i++) {
    array.fill(1);
    await communicator.barrier();
    const start = performance.now();
    await communicator.allReduceSum(array);
    if (i >= 0) times.push((performance.now() - start) / 1000);
  }
  return { seconds: median(times), answer: array.at(-1)!, exchanged: { bytes: array.byteLength, calls: 1 } };
};

/** Updates of a model from `accumulate` batches each; the answer is the last loss. */
const training =
  (work: (quick: boolean) => Work, accumulate: number, updates: number): ScaleWork =>
  async (ranks, { quick, part = 1 }) => {
    await startEngine();
    const { communicator, exchanged } = counting(ranks);
    const { name, initial, loss, trains, weightDecay } = work(quick);
    const task = {
      name,
      params: initial(),
      loss,
      batch: () => Promise.reject(new Error('not asked')),
      ...(trains && { trains }),
    };
    const trainer = new Trainer(
      task,
      { ...DEFAULT_SETTINGS, weightDecay, accumulate: accumulate * part, ema: 0 },
      communicator,
    );
    const times: number[] = [];
    let last = NaN;
    let before = { ...exchanged };
    for (let step = 0; step < updates; step++) {
      before = { ...exchanged };
      const start = performance.now();
      const { values, names } = await trainer.step(step, () => Promise.resolve({}));
      last = (await values.data())[1 + names.indexOf('loss')];
      values.dispose();
      times.push((performance.now() - start) / 1000);
    }
    trainer.dispose();
    return { seconds: median(times.slice(1)), answer: last, exchanged: difference(exchanged, before) };
  };

/** Updates of a measurement; the first is not counted. */
export const UPDATES = 4;
const tokenizer = (quick: boolean): Work => maetok(quick ? 'tiny' : 'small', 4, new RandomStream(0));

/** Few batches at a time, in a number that 1 to 4 ranks can divide. */
const oneByOne = (quick: boolean): Work =>
  quick ? diffusion(quick) : sit('sit-s', 1, new RandomStream(0), { depth: 7 });
export const MANY = 12;

export const WORKS = {
  em,
  allreduce,
  tokenizer: training(tokenizer, 2, UPDATES),
  diffusion: training(diffusion, ACCUMULATE, UPDATES),
  accumulation: training(oneByOne, MANY, UPDATES),
};

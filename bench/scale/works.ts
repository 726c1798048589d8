import { join } from 'node:path';
import type { Communicator } from '../../src/distributed/index.js';
import { fitMixture, openWorkspace } from '../../src/gmm/index.js';
import { npyRows } from '../../src/rows/index.js';
import { writePlanted } from '../analysis/data.js';
import { median } from '../helpers/table.js';

export interface Measured {
  /** Median of one step, sum or iteration. */
  seconds: number;
  /** What the work came to, to be compared between sides. */
  answer: number;
}

export interface Place {
  /** Where inputs lie that all sides read. */
  folder: string;
  quick: boolean;
}

type ScaleWork = (communicator: Communicator, place: Place) => Promise<Measured>;

/** Writes what the works read. */
export async function prepare({ folder, quick }: Place): Promise<void> {
  const planted = quick ? { rows: 16_384, dims: 16, modes: 8 } : { rows: 100_000, dims: 128, modes: 100 };
  await writePlanted(join(folder, 'rows.npy'), planted);
}

/** Iterations of full-covariance EM, K = 100, on 100k rows of 128 numbers. */
const em: ScaleWork = async (communicator, { folder, quick }) => {
  const [components, maxIter] = quick ? [8, 4] : [100, 7];
  const source = await npyRows(join(folder, 'rows.npy'));
  const ws = await openWorkspace(source, { components, covariance: 'full', memory: 8e9, threads: 1, communicator });
  const times: number[] = [];
  const fit = await fitMixture(ws, {
    components,
    start: 'random',
    restarts: 1,
    regCovar: 1e-3,
    tol: 0,
    maxIter,
    seed: 0,
    onIteration: () => void times.push(performance.now()),
  });
  await ws.close();
  const steps = times.slice(1).map((at, i) => (at - times[i]) / 1000);
  return { seconds: median(steps), answer: fit.lowerBounds.at(-1)! };
};

/** Sums of 88 MB of float32. */
const allreduce: ScaleWork = async (communicator, { quick }) => {
  const array = new Float32Array(quick ? 1 << 16 : 22 << 20);
  const times: number[] = [];
  for (let i = -1; i < 9; i++) {
    array.fill(1);
    await communicator.barrier();
    const start = performance.now();
    await communicator.allReduceSum(array);
    if (i >= 0) times.push((performance.now() - start) / 1000);
  }
  return { seconds: median(times), answer: array.at(-1)! };
};

export const WORKS = { em, allreduce };

import { gaussianSurrogate, permuteDimensions, rowShare, type NullControl } from '../../gmm/index.js';
import { arrayRows, cachedRows, rowsInMemory, type CachedRows, type RowSource } from '../../rows/index.js';
import { rowMoments } from '../../pca/index.js';
import type { SweepSettings } from './settings.js';

/** The rows of one control, to be disposed of once they are analysed. */
export interface ControlRows {
  train: RowSource;
  heldout: RowSource | undefined;
  dispose(): Promise<void>;
}

/** The real rows that a control's are made from: kept, of the rank's share alone, and read again, of all ranks. */
export interface RealRows {
  kept: RowSource;
  all: RowSource;
}

/** The rows that a control fits and scores instead of the real ones, as many of each. */
export async function nullRows(
  control: NullControl,
  train: RealRows,
  heldout: RealRows | undefined,
  settings: Pick<SweepSettings, 'seed' | 'threads' | 'memory' | 'communicator'>,
): Promise<ControlRows> {
  const { seed, threads, memory, communicator } = settings;
  if (control === 'none') return { train: train.kept, heldout: heldout?.kept, dispose: () => Promise.resolve() };
  if (control === 'surrogate') {
    const { mean, scatter, rows } = await rowMoments(train.all, { threads, communicator });
    const covariance = scatter.map(value => value / rows);
    return {
      train: gaussianSurrogate(train.kept, mean, covariance, seed),
      heldout: heldout && gaussianSurrogate(heldout.kept, mean, covariance, seed + 1),
      dispose: () => Promise.resolve(),
    };
  }
  const fitted = await permuted(train.kept, seed, memory.permutedTrain, settings);
  const scored = heldout && (await permuted(heldout.kept, seed + 1, memory.permutedHeldout, settings));
  return {
    train: fitted.rows,
    heldout: scored?.rows,
    dispose: async () => {
      await fitted.dispose();
      await scored?.dispose();
    },
  };
}

/**
 * Permuted in the workspace's part of the memory, which is free before the fit; then kept in `part` bytes. Any row may get
 * a number of any other, so every rank holds all of them meanwhile.
 */
async function permuted(
  source: RowSource,
  seed: number,
  part: number,
  { memory: { workspace }, communicator }: Pick<SweepSettings, 'memory' | 'communicator'>,
): Promise<CachedRows> {
  const { name, rows, width } = source;
  const share = rowShare(communicator, rows);
  const data = await rowsInMemory(source, { what: 'the permutation null', copies: 2, memory: workspace, share });
  await communicator.allReduceSum(data);
  const shuffled = arrayRows(name, permuteDimensions(data, rows, width, seed), rows, width);
  return await cachedRows(shuffled, part, { share });
}

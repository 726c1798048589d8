import { gaussianSurrogate, permuteDimensions, type NullControl } from '../../gmm/index.js';
import { arrayRows, cachedRows, rowsInMemory, type CachedRows, type RowSource } from '../../rows/index.js';
import { rowMoments } from '../../pca/index.js';
import type { MemoryParts } from './memory.js';

/** The rows of one control, to be disposed of once they are analysed. */
export interface ControlRows {
  train: RowSource;
  heldout: RowSource | undefined;
  dispose(): Promise<void>;
}

/** The rows that a control fits and scores instead of the real ones, as many of each. */
export async function nullRows(
  control: NullControl,
  train: RowSource,
  heldout: RowSource | undefined,
  { seed, threads, memory }: { seed: number; threads: number; memory: MemoryParts },
): Promise<ControlRows> {
  if (control === 'none') return { train, heldout, dispose: () => Promise.resolve() };
  if (control === 'surrogate') {
    const { mean, scatter, rows } = await rowMoments(train, { threads });
    const covariance = scatter.map(value => value / rows);
    return {
      train: gaussianSurrogate(train, mean, covariance, seed),
      heldout: heldout && gaussianSurrogate(heldout, mean, covariance, seed + 1),
      dispose: () => Promise.resolve(),
    };
  }
  const fitted = await permuted(train, seed, memory.permutedTrain, memory);
  const scored = heldout && (await permuted(heldout, seed + 1, memory.permutedHeldout, memory));
  return {
    train: fitted.rows,
    heldout: scored?.rows,
    dispose: async () => {
      await fitted.dispose();
      await scored?.dispose();
    },
  };
}

/** Permuted in the workspace's part of the memory, which is free before the fit; then kept in `part` bytes. */
async function permuted(
  source: RowSource,
  seed: number,
  part: number,
  { workspace }: MemoryParts,
): Promise<CachedRows> {
  const { name, rows, width } = source;
  const data = await rowsInMemory(source, { what: 'the permutation null', copies: 2, memory: workspace });
  return await cachedRows(arrayRows(name, permuteDimensions(data, rows, width, seed), rows, width), part);
}

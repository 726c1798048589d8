import { gaussianSurrogate, permuteDimensions, type Control } from '../../gmm/index.js';
import { arrayRows, rowsInMemory, type RowSource } from '../../rows/index.js';
import { rowMoments } from '../../pca/index.js';

interface Pair {
  train: RowSource;
  heldout: RowSource | undefined;
}

/** The rows that a control fits and scores instead of the real ones, as many of each. */
export async function nullRows(
  control: Control,
  train: RowSource,
  heldout: RowSource | undefined,
  { seed, threads, memory }: { seed: number; threads: number; memory: number },
): Promise<Pair> {
  if (control === 'none') return { train, heldout };
  if (control === 'surrogate') {
    const { mean, scatter, rows } = await rowMoments(train, { threads });
    const covariance = scatter.map(value => value / rows);
    return {
      train: gaussianSurrogate(train, mean, covariance, seed),
      heldout: heldout && gaussianSurrogate(heldout, mean, covariance, seed + 1),
    };
  }
  return {
    train: await permuted(train, seed, memory),
    heldout: heldout && (await permuted(heldout, seed + 1, memory)),
  };
}

async function permuted(source: RowSource, seed: number, memory: number): Promise<RowSource> {
  const { name, rows, width } = source;
  const data = await rowsInMemory(source, { what: 'the permutation null', copies: 2, memory: memory / 2 });
  return arrayRows(name, permuteDimensions(data, rows, width, seed), rows, width);
}

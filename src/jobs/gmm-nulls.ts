import { EXIT, UserError } from '../base/index.js';
import { gaussianSurrogate, permuteDimensions } from '../gmm/index.js';
import { arrayRows, type RowSource } from '../io/index.js';
import { rowMoments } from '../pca/index.js';

export const NULLS = ['surrogate', 'permutation'] as const;
/** none: the rows themselves; surrogate: one Gaussian like them; permutation: their marginals alone. */
export type Control = 'none' | (typeof NULLS)[number];

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
  if (rows * width * 8 > memory / 2)
    throw new UserError(
      `${name}: the permutation null holds its rows in memory twice, ${Math.ceil((rows * width * 8) / 2 ** 20)} MB; allow more --memory or --limit the rows`,
      EXIT.failed,
    );
  const data = new Float32Array(rows * width);
  for await (const chunk of source.chunks()) data.set(chunk.data.subarray(0, chunk.rows * width), chunk.start * width);
  return arrayRows(name, permuteDimensions(data, rows, width, seed), rows, width);
}

import { join } from 'node:path';
import { npyRows } from '../../src/rows/index.js';
import { writePlanted } from './data.js';
import { analyse } from './pipeline.js';
import type { Work } from './work.js';

interface Growing {
  rows: number;
  dims: number;
  components: number;
  iterations: number;
  megabytes: number;
  [name: string]: number;
}

export const work: Work<Growing> = {
  about: 'PCA and a mixture of rows on disk within a fixed memory, over the number of rows',
  cases: quick =>
    (quick ? [2000, 8000] : [10_000, 30_000, 100_000, 300_000, 1_000_000]).map(rows => ({
      label: `${rows} rows`,
      parameters: { rows, dims: 64, components: quick ? 4 : 20, iterations: 5, megabytes: 256 },
      rounds: rows > 100_000 ? 1 : 3,
    })),
  prepare: ({ rows, dims }, { folder }) => writePlanted(join(folder, 'rows.npy'), { rows, dims, modes: 50 }),
  async open({ components, iterations, megabytes }, { folder, threads }) {
    const rows = await npyRows(join(folder, 'rows.npy'));
    return async () => {
      const [{ train_nll, dims }] = await analyse(rows, {
        components: [components],
        maxIter: iterations,
        tol: 0,
        start: 'random',
        pca: true,
        standardize: true,
        memory: megabytes * 2 ** 20,
        threads,
      });
      return { nll: train_nll, dims };
    };
  },
};

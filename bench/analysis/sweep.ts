import { join } from 'node:path';
import { npyRows } from '../../src/rows/index.js';
import { writePlanted } from './data.js';
import { analyse } from './pipeline.js';
import type { Answer, Work } from './work.js';

interface Sweep {
  rows: number;
  dims: number;
  modes: number;
  /** Component counts, by commas. */
  components: string;
  [name: string]: number | string;
}

export const work: Work<Sweep> = {
  about: 'a sweep over component counts to tolerance, each side from its own k-means',
  peer: 'GaussianMixture, float32 (float64 where that fails), a fit per count',
  cases: quick => [
    {
      label: 'sweep',
      parameters: quick
        ? { rows: 4000, dims: 16, modes: 4, components: '2,4' }
        : { rows: 100_000, dims: 128, modes: 300, components: '50,100,200' },
      atLeast: 6,
      rounds: quick ? 2 : 1,
    },
  ],
  prepare: ({ rows, dims, modes }, { folder }) => writePlanted(join(folder, 'rows.npy'), { rows, dims, modes }),
  async open({ components }, { folder, threads }) {
    const rows = await npyRows(join(folder, 'rows.npy'));
    return async () => {
      const table = await analyse(rows, { components: components.split(',').map(Number), threads });
      return Object.fromEntries(table.map(row => [`nll${row.components}`, row.train_nll]));
    };
  },
  difference: (ours: Answer, theirs: Answer) => {
    const worse = Object.keys(ours).find(name => ours[name] > theirs[name] * 1.001);
    return worse === undefined ? undefined : `${worse} ${ours[worse]} here, ${theirs[worse]} there`;
  },
};

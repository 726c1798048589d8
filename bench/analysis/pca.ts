import { join } from 'node:path';
import { npyRows } from '../../src/rows/index.js';
import { explainedShare, fitPca } from '../../src/pca/index.js';
import { writeFactors } from './data.js';
import { apart, type Work } from './work.js';

interface Reduced {
  rows: number;
  dims: number;
  variance: number;
  [name: string]: number;
}

export const work: Work<Reduced> = {
  about: 'PCA of a file to a share of the variance, reading it included',
  peer: 'PCA, covariance_eigh, float32',
  cases: quick => [
    {
      label: 'PCA',
      parameters: { ...(quick ? { rows: 3000, dims: 256 } : { rows: 50_000, dims: 4096 }), variance: 0.9 },
      atLeast: 1.5,
      memoryBelow: 0.25,
    },
  ],
  prepare: ({ rows, dims }, { folder }) => writeFactors(join(folder, 'rows.npy'), rows, dims, dims / 4),
  async open({ variance }, { folder, threads }) {
    const rows = await npyRows(join(folder, 'rows.npy'));
    return async () => {
      const pca = await fitPca(rows, { variance, threads });
      return { dims: pca.dims, explained: explainedShare(pca, pca.dims), first: pca.spectrum[0] };
    };
  },
  difference: (ours, theirs) =>
    apart('dims', ours, theirs, 0) ?? apart('explained', ours, theirs, 1e-4) ?? apart('first', ours, theirs, 1e-4),
};

import { join } from 'node:path';
import { fitMixture, loadMixture, openWorkspace } from '../../src/gmm/index.js';
import { arrayRows, npyRows, readNpy } from '../../src/io/index.js';
import { writePlanted } from './data.js';
import { DEFAULTS, MEMORY, writeStart } from './start.js';
import { apart, type Work } from './work.js';

interface Iterations {
  rows: number;
  dims: number;
  components: number;
  iterations: number;
  [name: string]: number;
}

const cases = (rows: number, dims: number, wanted: [components: number, atLeast: number][]) =>
  wanted.map(([components, atLeast]) => ({
    label: `EM, K = ${components}`,
    parameters: { rows, dims, components, iterations: 5 },
    // And the E-step at the end, which both have.
    steps: 5,
    atLeast,
  }));

export const work: Work<Iterations> = {
  about: 'iterations of full-covariance EM from the same start against GaussianMixture in float32',
  peer: 'scikit-learn GaussianMixture, float32',
  cases: quick =>
    quick
      ? cases(4000, 32, [[8, 4]])
      : cases(50_000, 128, [
          [50, 4],
          [200, 8],
        ]),
  async prepare({ rows, dims, components }, { folder, threads }) {
    await writePlanted(join(folder, 'rows.npy'), { rows, dims, modes: 100 });
    await writeStart(join(folder, 'start.npz'), await npyRows(join(folder, 'rows.npy')), components, threads);
  },
  async open({ rows, dims, components, iterations }, { folder, threads }) {
    const { data } = await readNpy(join(folder, 'rows.npy'));
    const source = arrayRows('rows', data as Float32Array, rows, dims);
    const { mixture } = await loadMixture(join(folder, 'start.npz'));
    return async () => {
      const ws = await openWorkspace(source, { components, covariance: 'full', memory: MEMORY, threads });
      try {
        const options = { ...DEFAULTS, components, start: mixture, tol: 0, maxIter: iterations };
        const { lowerBounds } = await fitMixture(ws, options);
        return { likelihood: lowerBounds.at(-1)! };
      } finally {
        await ws.close();
      }
    };
  },
  difference: (ours, theirs) => apart('likelihood', ours, theirs, 1e-4),
};

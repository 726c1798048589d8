import { join } from 'node:path';
import { writePlanted } from './data.js';
import { fitsFromStart, writeStart } from './start.js';
import { apart, type Work } from './work.js';

interface Iterations {
  rows: number;
  dims: number;
  components: number;
  iterations: number;
  /** More than by default: else a component of few rows is singular in scikit-learn's single precision, which ends it. */
  regularisation: number;
  [name: string]: number;
}

const cases = (rows: number, dims: number, wanted: [components: number, atLeast: number][]) =>
  wanted.map(([components, atLeast]) => ({
    label: `EM, K = ${components}`,
    parameters: { rows, dims, components, iterations: 5, regularisation: 1e-3 },
    // And the E-step at the end, which both have.
    steps: 5,
    atLeast,
  }));

export const work: Work<Iterations> = {
  about: 'iterations of full-covariance EM from the same start',
  peer: 'GaussianMixture, float32',
  cases: quick =>
    quick
      ? cases(4000, 32, [[8, 4]])
      : cases(50_000, 128, [
          [50, 4],
          [200, 8],
        ]),
  async prepare({ rows, dims, components, regularisation }, place) {
    await writePlanted(join(place.folder, 'rows.npy'), { rows, dims, modes: 100 });
    await writeStart({ components, covariance: 'full' }, place, { start: 'kmeans', regCovar: regularisation });
  },
  async open({ components, iterations, regularisation }, place) {
    const options = { tol: 0, maxIter: iterations, regCovar: regularisation };
    const fit = await fitsFromStart({ components, covariance: 'full' }, place, options);
    return async () => ({ likelihood: (await fit()).lowerBounds.at(-1)! });
  },
  difference: (ours, theirs) => apart('likelihood', ours, theirs, 1e-4),
};

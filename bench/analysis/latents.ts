import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CovarianceType } from '../../src/gmm/index.js';
import { asFloat32, openSafetensors, writeNpy } from '../../src/io/index.js';
import { fitsFromStart, writeStart } from './start.js';
import { apart, type Case, type Work } from './work.js';

interface FitOfLatents {
  components: number;
  covariance: CovarianceType;
  /** Train NLL that scikit-learn reached from its own start in double precision; 0: unknown. */
  reference: number;
  rows: number;
  [name: string]: number | string;
}

const FILE = fileURLToPath(
  new URL('../../../shared/data/features/cifar10-60k-taef2-pca64.safetensors', import.meta.url),
);
const ROWS = 50_000;

const fit = (components: number, covariance: CovarianceType, atLeast?: number, reference = 0): Case<FitOfLatents> => ({
  label: `latents, K = ${components} ${covariance}`,
  parameters: { components, covariance, reference, rows: ROWS },
  ...(atLeast !== undefined && { atLeast }),
});

export const work: Work<FitOfLatents> = {
  about: 'fits of 50,000 real latents of 64 dimensions to tolerance from the same k-means start',
  peer: 'GaussianMixture, float32',
  cases: quick => {
    if (!existsSync(FILE)) return [];
    if (quick) return [fit(1, 'full', undefined, 112.438)];
    return [
      fit(1, 'full', undefined, 112.438),
      fit(10, 'full', 4, 107.664),
      fit(50, 'full', 4),
      fit(100, 'full', 6),
      fit(200, 'full', 8),
      fit(50, 'diag', undefined, 109.928),
    ];
  },
  async prepare({ components, covariance }, place) {
    const file = await openSafetensors(FILE);
    const { shape, data } = await file.read('train.features');
    await file.close();
    await writeNpy(join(place.folder, 'rows.npy'), { shape, dtype: 'float32', data: asFloat32(data) });
    await writeStart({ components, covariance }, place);
  },
  async open({ components, covariance, reference }, place) {
    const run = await fitsFromStart({ components, covariance }, place);
    return async () => {
      const { logLikelihood, lowerBounds, iterations } = await run();
      return { nll: -logLikelihood, bound: lowerBounds.at(-1)!, iterations, reference };
    };
  },
  // Both stop where an iteration brings less than the tolerance; in single precision that may be one sooner or later.
  difference: (ours, theirs) =>
    apart('bound', ours, theirs, 1e-3) ??
    (ours.reference > 0 && ours.nll > ours.reference * 1.001
      ? `nll ${ours.nll} here, ${ours.reference} from another start`
      : undefined),
};

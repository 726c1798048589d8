import { silentLog } from '../../src/base/index.js';
import type { RowSource } from '../../src/rows/index.js';
import { analyzeGmm, type GmmRow, type GmmSettings } from '../../src/jobs/gmm/index.js';

/** The whole of `analyze-gmm` on all of a file's rows; a row of its table per component count. */
export async function analyse(rows: RowSource, chosen: Partial<GmmSettings>): Promise<GmmRow[]> {
  const settings: GmmSettings = {
    components: [],
    covariance: 'full',
    algorithm: 'em',
    start: 'kmeans',
    restarts: 1,
    repeats: 1,
    regCovar: 1e-6,
    tol: 1e-3,
    maxIter: 100,
    controls: ['none'],
    grow: false,
    memory: 4 * 2 ** 30,
    pca: false,
    standardize: false,
    dims: 'own',
    variance: 0.9,
    trainShare: 1,
    seed: 0,
    ...chosen,
  };
  return (await analyzeGmm([{ name: 'rows', rows }], settings, { log: silentLog })).rows;
}

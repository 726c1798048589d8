import { describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { alone, type Communicator } from '../../src/distributed/index.js';
import {
  confusion,
  fitMixture,
  logDensities,
  openWorkspace,
  scoreWorkspace,
  type Fit,
  type StartMethod,
} from '../../src/gmm/index.js';
import { COVARIANCE_TYPES, type CovarianceType } from '../../src/gmm/names.js';
import { arrayRows, type RowSource } from '../../src/rows/index.js';
import { asRanks } from '../helpers/ranks.js';
import { clusteredRows } from './helpers.js';

/** Five segments, the last of them not full. */
const ROWS = 4500;
const source = clusteredRows(ROWS, 6, 5, 2);

interface Variant {
  components?: number;
  start?: StartMethod;
  rows?: RowSource;
  memory?: number;
  regCovar?: number;
}

interface Found {
  fit: Fit;
  scores: Float32Array;
  shared: Float64Array;
}

async function found(
  communicator: Communicator,
  covariance: CovarianceType,
  { components = 7, start = 'kmeans', rows = source, memory = 1e9, regCovar = 1e-6 }: Variant = {},
): Promise<Found> {
  const options = { covariance, memory, threads: 1, communicator };
  const ws = await openWorkspace(rows, { ...options, components });
  const settings = { components, start, restarts: 1, regCovar, tol: 1e-4, maxIter: 8, seed: 3 };
  try {
    const fit = await fitMixture(ws, settings);
    const shared = await confusion(ws, fit.mixture);
    await scoreWorkspace(ws, fit.mixture);
    const { logs } = await logDensities(fit.mixture, clusteredRows(1100, 6, 5, 2, 2), options);
    return { fit, scores: logs, shared };
  } finally {
    await ws.close();
  }
}

describe('a mixture that ranks fit together', () => {
  it.each(COVARIANCE_TYPES)('is that of one process, bit for bit, whatever their number: %s', async covariance => {
    const one = await found(alone, covariance);
    for (const size of [2, 3, 4])
      for (const rank of await asRanks(size, communicator => found(communicator, covariance))) {
        expect(rank.fit).toEqual(one.fit);
        expect(rank.scores).toEqual(one.scores);
        expect(rank.shared).toBeAllClose(one.shared, { rtol: 1e-12, atol: 1e-15 });
      }
  });

  it.each(['k-means++', 'random'] as const)('starts from the same rows: %s', async start => {
    const one = await found(alone, 'full', { start });
    for (const { fit } of await asRanks(3, communicator => found(communicator, 'full', { start })))
      expect(fit).toEqual(one.fit);
  });

  it('is the same where rows are streamed in blocks', async () => {
    const memory = 3e6;
    const one = await found(alone, 'full');
    for (const { fit } of await asRanks(2, communicator => found(communicator, 'full', { memory })))
      expect(fit.mixture).toEqual(one.fit.mixture);
  });

  it('has its collapsed components reinitialised at the same rows', async () => {
    // Clusters of one row, many times: nothing varies within them.
    const few = new RandomNumbers(1).normals(9 * 6);
    const data = new Float32Array(ROWS * 6);
    for await (const chunk of source.chunks()) data.set(chunk.data, chunk.start * 6);
    for (let i = 0; i < 3000 * 6; i++) data[i] = few[i % few.length];
    const settings: Variant = { components: 12, rows: arrayRows('few', data, ROWS, 6), regCovar: 0 };
    const one = await found(alone, 'full', settings);
    expect(one.fit.reseeded).toBeGreaterThan(0);
    for (const { fit } of await asRanks(2, communicator => found(communicator, 'full', settings)))
      expect(fit).toEqual(one.fit);
  });
});

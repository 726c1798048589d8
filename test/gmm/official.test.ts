import { describe, expect, it } from '@jest/globals';
import { fitMixture, fitOfficial, logDensities, openWorkspace, type Fit, type Mixture } from '../../src/gmm/index.js';
import { arrayRows } from '../../src/rows/index.js';
import { clusteredRows } from './helpers.js';

const [ROWS, DIMS, EPOCHS] = [600, 8, 300];
const source = clusteredRows(ROWS, DIMS, 4, 1.5);
const data = new Float32Array(ROWS * DIMS);
for await (const chunk of source.chunks()) data.set(chunk.data, chunk.start * DIMS);

const official = (components: number, epochs = EPOCHS): Promise<Fit> =>
  fitOfficial(data, DIMS, { components, epochs, tol: 1e-3, seed: 0 });

describe('a mixture fitted as the paper’s authors published it', () => {
  it('reports an NLL that falls with K by the weights’ sum, not by a better density', async () => {
    const counts = [4, 8, 16];
    const fits: Fit[] = [];
    for (const components of counts) fits.push(await official(components));
    const sums = fits.map(({ weightSum }) => weightSum!);
    const nlls: number[] = [];
    for (const { mixture } of fits) nlls.push(-(await logDensities(mixture, source, { memory: 1e9, threads: 1 })).mean);
    const reported = nlls.map((nll, i) => nll - Math.log(sums[i]));
    expect(sums[0]).toBeGreaterThan(4);
    expect(reported[0] - reported[2]).toBeGreaterThan(0.8);
    // What is left once the weights are normalised is an order of magnitude less.
    expect(Math.abs(nlls[0] - nlls[2])).toBeLessThan(0.15 * (reported[0] - reported[2]));
    for (const { mixture } of fits) expect(mixture.weights.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
  });

  it('comes to the maximum of the likelihood where there is but one', async () => {
    const { mixture } = await official(1, 600);
    const rows = arrayRows('rows', data, ROWS, DIMS);
    const { mean } = await logDensities(mixture, rows, { memory: 1e9, threads: 1 });
    const best = await logDensities(await oneGaussian(), rows, { memory: 1e9, threads: 1 });
    expect(best.mean - mean).toBeGreaterThan(0);
    expect(best.mean - mean).toBeLessThan(1e-4);
  });
});

async function oneGaussian(): Promise<Mixture> {
  const ws = await openWorkspace(source, { components: 1, covariance: 'diag', memory: 1e9, threads: 1 });
  try {
    const options = { components: 1, start: 'random', restarts: 1, regCovar: 0, tol: 0, maxIter: 1, seed: 0 } as const;
    return (await fitMixture(ws, options)).mixture;
  } finally {
    await ws.close();
  }
}

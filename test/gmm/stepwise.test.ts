import { describe, expect, it } from '@jest/globals';
import {
  fitMixture,
  fitStepwise,
  openWorkspace,
  scoreWorkspace,
  type Fit,
  type FitState,
} from '../../src/gmm/index.js';
import type { StepwiseOptions } from '../../src/gmm/stepwise.js';
import { arrayRows, type RowSource } from '../../src/rows/index.js';
import { clusteredRows } from './helpers.js';

const OPTIONS: StepwiseOptions = {
  components: 5,
  covariance: 'full',
  start: 'kmeans',
  restarts: 4,
  regCovar: 1e-6,
  tol: 1e-3,
  maxIter: 20,
  seed: 0,
  memory: 1e9,
  threads: 1,
};
const rows = clusteredRows(6000, 6, 5, 1.5);

/** Mean log-likelihoods of all rows: after full EM, and under the stepwise fit. */
async function compared(options: StepwiseOptions, source = rows): Promise<{ full: number; stepwise: number }> {
  const ws = await openWorkspace(source, options);
  try {
    const { logLikelihood: full } = await fitMixture(ws, { ...options, restarts: 4, maxIter: 100 });
    const { mixture } = await fitStepwise(source, options);
    return { full, stepwise: (await scoreWorkspace(ws, mixture)).mean };
  } finally {
    await ws.close();
  }
}

describe('stepwise EM', () => {
  it.each(['full', 'diag', 'spherical'] as const)('comes near full EM in five passes (%s)', async covariance => {
    const { full, stepwise } = await compared({ ...OPTIONS, covariance, maxIter: 5 });
    expect(full - stepwise).toBeLessThan(0.02);
  });

  it('is within a hundredth of a nat of one component’s maximum', async () => {
    const { full, stepwise } = await compared({ ...OPTIONS, components: 1, maxIter: 5 });
    expect(full - stepwise).toBeGreaterThan(0);
    expect(full - stepwise).toBeLessThan(0.01);
  });

  it('does not mind rows that lie class by class', async () => {
    const { full, stepwise } = await compared({ ...OPTIONS, maxIter: 5 }, await sorted(rows));
    expect(full - stepwise).toBeLessThan(0.02);
  });

  it('goes on where it stood, to the same mixture', async () => {
    const options = { ...OPTIONS, restarts: 2, maxIter: 4, tol: 0 };
    const through = await fitStepwise(rows, options);
    const states: FitState[] = [];
    const onIteration: StepwiseOptions['onIteration'] = state => void states.push(structuredClone(state()));
    await fitStepwise(rows, { ...options, onIteration });
    const resumed: Fit = await fitStepwise(rows, { ...options, resume: states[5] });
    expect(states).toHaveLength(8);
    expect(resumed).toEqual(through);
  });

  it('refuses tied covariances in one line', async () => {
    await expect(fitStepwise(rows, { ...OPTIONS, covariance: 'tied' })).rejects.toThrow(
      /fits full, diag and spherical covariances/,
    );
  });
});

/** The same rows, by their first number. */
async function sorted(source: RowSource): Promise<RowSource> {
  const all: Float32Array[] = [];
  for await (const { data, rows: count } of source.chunks())
    for (let i = 0; i < count; i++) all.push(data.slice(i * source.width, (i + 1) * source.width));
  all.sort((a, b) => a[0] - b[0]);
  return arrayRows('sorted', Float32Array.from(all.flatMap(row => Array.from(row))), source.rows, source.width);
}

import { describe, expect, it } from '@jest/globals';
import { openWorkspace } from '../../../src/gmm/index.js';
import { planSweep, splitMemory, type GmmSettings } from '../../../src/jobs/gmm/index.js';
import { clusteredRows } from '../../gmm/helpers.js';

const MB = 2 ** 20;
const settings: GmmSettings = {
  components: [2, 20],
  covariance: 'full',
  algorithm: 'em',
  start: 'kmeans',
  restarts: 1,
  repeats: 1,
  regCovar: 1e-6,
  tol: 1e-3,
  maxIter: 10,
  controls: ['none'],
  grow: false,
  memory: 64 * MB,
  threads: 2,
  pca: false,
  standardize: true,
  dims: 'own',
  variance: 0.9,
  trainShare: 0.8,
  seed: 0,
};
const rows = clusteredRows(40_000, 24, 3, 3, 1);
const [train, heldout] = [32_000, 8_000];
const planned = async (chosen: Partial<GmmSettings>): Promise<number[]> =>
  (await planSweep([{ name: 'rows', rows }], { ...settings, ...chosen })).map(({ memory_mb }) => memory_mb);

describe('the memory of a sweep', () => {
  it.each([1, 3 * MB, 1e9 + 7, 64 * 2 ** 30])('is shared out whole: %d bytes', budget => {
    expect(Object.values<number>({ ...splitMemory(budget) }).reduce((sum, part) => sum + part, 0)).toBe(budget);
  });

  it('is planned as it is used: workspaces of the largest mixture, and the rows that stay in memory', async () => {
    const memory = splitMemory(settings.memory);
    const used = async (count: number, part: number): Promise<number> => {
      const ws = await openWorkspace(clusteredRows(count, 24, 3, 3, 1), {
        components: 20,
        covariance: 'full',
        memory: part,
        threads: 2,
      });
      await ws.close();
      return ws.layout.bytes;
    };
    const workspaces = (await used(train, memory.workspace)) + (await used(heldout, memory.second));
    const cached = (train + heldout) * 24 * 4;
    const whole = Math.ceil((workspaces + cached) / MB);
    expect(await planned({})).toEqual([whole, whole]);
  });

  it.each<Partial<GmmSettings>>([
    {},
    { controls: ['none', 'permutation'] },
    { algorithm: 'stepwise' },
    { algorithm: 'adam', covariance: 'diag' },
    { covariance: 'diag', folds: 3 },
  ])('is planned within the budget: %j', async chosen => {
    for (const memory of [40 * MB, 96 * MB, 256 * MB])
      for (const mb of await planned({ ...chosen, memory })) expect(mb * MB).toBeLessThanOrEqual(memory);
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { compileProducts, findCompiler } from '../../src/engine/install/compile.js';
import { recipeFor } from '../../src/engine/install/platform.js';
import { systemTools } from '../../src/engine/install/tools.js';
import { fitMixture, openWorkspace, type Fit } from '../../src/gmm/index.js';
import { clusteredRows } from './helpers.js';

describe('native products', () => {
  const folder = mkdtempSync(join(tmpdir(), 'maetok-products-'));
  let path: string;
  beforeAll(async () => {
    const compiler = await findCompiler(systemTools);
    path = join(folder, await compileProducts(folder, recipeFor('cpu'), compiler, systemTools));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Several iterations, in which pairs are dismissed and taken up again. */
  async function fit(dims: number, threads: number, products: string | null): Promise<Fit> {
    const rows = clusteredRows(6000, dims, 6, 1);
    const ws = await openWorkspace(rows, { components: 9, covariance: 'full', memory: 1e9, threads, products });
    try {
      const options = { start: 'kmeans', restarts: 1, regCovar: 1e-6, tol: 0, maxIter: 8, seed: 3 } as const;
      return await fitMixture(ws, { ...options, components: 9 });
    } finally {
      await ws.close();
    }
  }

  // Widths of one column of eight numbers, of two or four at once, and of what is left of them.
  it.each([5, 16, 24, 32, 45, 56, 72])('fit rows of %i numbers to the same bits as WebAssembly', async dims => {
    const expected = await fit(dims, 1, null);
    for (const threads of [1, 3]) expect(await fit(dims, threads, path)).toEqual(expected);
  });
});

import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { PCA } from 'ml-pca';
import { RandomNumbers } from '../../src/base/index.js';
import { withoutKernels } from '../../src/engine/compiled.js';
import { startEngine } from '../../src/engine/index.js';
import { readNpz, type NdArray } from '../../src/io/index.js';
import { arrayRows, cachedRows, type RowSource } from '../../src/rows/index.js';
import {
  columnReduction,
  dimensionsFor,
  explainedShare,
  fitPca,
  pcaReduction,
  reducedRows,
  rowMoments,
} from '../../src/pca/index.js';
import { leadingSpectrum } from '../../src/pca/spectrum.js';
import { nonFiniteRows, type Moments } from '../../src/pca/moments.js';
import { tempFolder } from '../helpers/temp.js';

/** Recorded by fixtures/golden/pca/record.py from scikit-learn 1.9.1. */
const GOLDEN = fileURLToPath(new URL('../../fixtures/golden/pca/scikit-learn.npz', import.meta.url));
const folder = tempFolder();

let golden: Record<string, NdArray>;
let rows: RowSource;
beforeAll(async () => {
  await startEngine();
  golden = await readNpz(GOLDEN);
  rows = arrayRows('rows', golden.rows.data as Float32Array, 240, 20);
});

const values = async (source: RowSource): Promise<Float32Array> => {
  const out = new Float32Array(source.rows * source.width);
  for await (const { start, rows, data } of source.chunks({ chunkRows: 37 }))
    out.set(data.subarray(0, rows * source.width), start * source.width);
  return out;
};

/** Rows with a power-law spectrum in a random basis. */
function structured(count: number, width: number, seed = 1): Float32Array {
  const random = new RandomNumbers(seed);
  const basis = random.for('basis').normals(width * width);
  const scores = random.for('scores').normals(count * width);
  const out = new Float32Array(count * width);
  for (let i = 0; i < count; i++)
    for (let k = 0; k < width; k++) {
      const score = scores[i * width + k] / (k + 1);
      for (let j = 0; j < width; j++) out[i * width + j] += score * basis[k * width + j];
    }
  return out;
}

describe('PCA', () => {
  it('agrees with scikit-learn: dimensions for 90% of the variance, axes with their signs, variances, scores', async () => {
    const pca = await fitPca(rows, { variance: 0.9, threads: 1 });
    const expected = golden.components;
    expect(pca.dims).toBe(expected.shape[0]);
    expect(pca.components.subarray(0, pca.dims * 20)).toBeAllClose(expected.data as Float64Array, { rtol: 1e-8 });
    expect(pca.mean).toBeAllClose(golden.mean.data as Float64Array, { rtol: 1e-12 });
    expect(pca.spectrum.subarray(0, pca.dims)).toBeAllClose(golden.explained_variance.data as Float64Array, {
      rtol: 1e-10,
    });
    const ratios = golden.explained_variance_ratio.data as Float64Array;
    expect(explainedShare(pca, pca.dims)).toBeCloseTo(
      ratios.reduce((a, b) => a + b, 0),
      10,
    );
    const scores = await values(reducedRows(pcaReduction(pca), rows));
    const recorded = golden.standardized.data as Float64Array;
    expect(scores.subarray(0, recorded.length)).toBeAllClose(recorded, { rtol: 1e-5 });
  });

  it('agrees with ml-pca', async () => {
    const pca = await fitPca(rows, { dims: 20, threads: 1 });
    const data = golden.rows.data as Float32Array;
    const other = new PCA(Array.from({ length: 240 }, (_, i) => Array.from(data.subarray(i * 20, (i + 1) * 20))));
    expect(pca.spectrum).toBeAllClose(other.getEigenvalues(), { rtol: 1e-9 });
  });

  it.each(['float64', 'float32'] as const)(
    'does not depend on chunks and threads at all, nor, but for rounding, on the order of rows (%s)',
    async precision => {
      const width = 40;
      const data = structured(700, width);
      const one = await rowMoments(arrayRows('one', data, 700, width), { threads: 1, precision });
      const source = arrayRows('many', data, 700, width);
      const sevenShards: RowSource = { ...source, chunks: options => source.chunks({ ...options, chunkRows: 101 }) };
      const seven = await rowMoments(sevenShards, { threads: 2, precision });
      expect(seven.scatter).toEqual(one.scatter);
      const order = new RandomNumbers(5).permutation(700);
      const shuffled = new Float32Array(data.length);
      order.forEach((row, i) => shuffled.set(data.subarray(row * width, (row + 1) * width), i * width));
      const permuted = await rowMoments(arrayRows('permuted', shuffled, 700, width), { threads: 1, precision });
      const shares = ({ scatter }: typeof one): Float64Array => {
        const { values: spectrum } = leadingSpectrum(scatter, width, { needed: () => 0 });
        const total = spectrum.reduce((a, b) => a + b, 0);
        return spectrum.map(value => value / total);
      };
      expect(shares(permuted)).toBeAllClose(shares(one), { rtol: 0, atol: precision === 'float64' ? 1e-13 : 1e-7 });
    },
  );

  it.each([
    { rows: 700, width: 40 },
    // Several of the engine's panels and strips, the last ones not whole.
    { rows: 3400, width: 450 },
  ])('has the same moments of $rows × $width in single precision, but for rounding', async ({ rows, width }) => {
    const source = arrayRows('rows', structured(rows, width), rows, width);
    const exact = await rowMoments(source, { threads: 1, precision: 'float64' });
    const scale = exact.scatter.reduce((most, value) => Math.max(most, value), 0);
    const single = (): Promise<Moments> => rowMoments(source, { threads: 1, precision: 'float32' });
    for (const { scatter, mean } of [await single(), await withoutKernels(single)]) {
      expect(scatter).toBeAllClose(exact.scatter, { rtol: 0, atol: 1e-6 * scale });
      expect(mean).toBeAllClose(exact.mean, { rtol: 1e-9, atol: 1e-9 });
    }
  });

  it('finds the leading pairs of a wide matrix by block Lanczos as by solving for all', async () => {
    const width = 96;
    const { scatter } = await rowMoments(arrayRows('x', structured(400, width), 400, width), { threads: 1 });
    const all = leadingSpectrum(scatter, width, { needed: () => 0, solver: 'all' });
    const block = leadingSpectrum(scatter, width, {
      needed: found => (found.length >= 12 ? 12 : undefined),
      solver: 'block',
    });
    expect(block.residual).toBeLessThan(1e-4);
    expect(block.values.subarray(0, 12)).toBeAllClose(all.values.subarray(0, 12), { rtol: 1e-6 });
    for (let k = 0; k < 6; k++) {
      let cosine = 0;
      for (let j = 0; j < width; j++) cosine += block.vectors[k * width + j] * all.vectors[k * width + j];
      expect(Math.abs(cosine)).toBeGreaterThan(1 - 1e-6);
    }
  });

  it('finds them by block Lanczos where there are fewer rows than axes', async () => {
    const [count, width] = [9, 128];
    const { scatter } = await rowMoments(arrayRows('few', structured(count, width), count, width), { threads: 1 });
    const all = leadingSpectrum(scatter, width, { needed: () => 0, solver: 'all' });
    const block = leadingSpectrum(scatter, width, {
      needed: found => (found.length >= 8 ? 8 : undefined),
      solver: 'block',
    });
    expect(block.values.length).toBeGreaterThanOrEqual(8);
    expect(block.values.subarray(0, 8)).toBeAllClose(all.values.subarray(0, 8), { rtol: 1e-6 });
  });

  it('finds pairs that take several spaces', () => {
    // Eigenvalues 1 / i along the axes of a reflection.
    const n = 240;
    const direction = Float64Array.from({ length: n }, (_, i) => Math.sin(i + 1));
    const square = direction.reduce((sum, x) => sum + x * x, 0);
    const axis = (k: number, i: number): number => (k === i ? 1 : 0) - (2 * direction[k] * direction[i]) / square;
    const matrix = new Float64Array(n * n);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) for (let k = 0; k < n; k++) matrix[i * n + j] += (axis(k, i) * axis(k, j)) / (k + 1);
    const found = leadingSpectrum(matrix, n, {
      needed: values => (values.length >= 48 ? 48 : undefined),
      solver: 'block',
    });
    expect(found.residual).toBeLessThan(1e-6);
    expect(found.values.length).toBeLessThan(n);
    expect(found.values.subarray(0, 48)).toBeAllClose(
      Float64Array.from({ length: 48 }, (_, k) => 1 / (k + 1)),
      { rtol: 1e-9 },
    );
  });

  it('counts a share as reached only when it is passed', () => {
    expect(dimensionsFor(Float64Array.of(3, 1), 4, 0.75)).toBe(2);
    expect(dimensionsFor(Float64Array.of(3, 1), 4, 0.74)).toBe(1);
    expect(dimensionsFor(Float64Array.of(3), 4, 0.9)).toBeUndefined();
  });

  it('refuses rows that are all the same, and more dimensions than there are', async () => {
    const same = arrayRows('same', new Float32Array(50).fill(2), 10, 5);
    await expect(fitPca(same, { variance: 0.9, threads: 1 })).rejects.toThrow(/same: its rows are all the same/);
    await expect(fitPca(rows, { dims: 21, threads: 1 })).rejects.toThrow(
      /21 axes are more than its 240 rows of 20 numbers allow/,
    );
  });

  it('counts and locates rows that are not finite', async () => {
    const data = (golden.rows.data as Float32Array).slice();
    data[7 * 20 + 3] = NaN;
    data[100 * 20] = Infinity;
    const damaged = arrayRows('damaged', data, 240, 20);
    expect([...(await nonFiniteRows(damaged))]).toEqual([7, 100]);
    const message = /damaged: 2 of 240 rows hold NaN or infinity \(first: 7, 100\)/;
    await expect(fitPca(damaged, { variance: 0.9, threads: 1 })).rejects.toThrow(message);
    await expect(columnReduction(damaged)).rejects.toThrow(message);
  });
});

describe('reduced rows', () => {
  const reducedColumns = async (...data: number[]): Promise<number[]> => {
    const source = arrayRows('x', Float32Array.from(data), 2, 2);
    return [...(await values(reducedRows(await columnReduction(source), source)))];
  };

  it('without PCA are standardized column by column', async () => {
    expect(await reducedColumns(1, 5, 3, 9)).toEqual([-1, -1, 1, 1]);
  });

  it('without PCA are only centred in a column that does not vary', async () => {
    expect(await reducedColumns(1, 5, 3, 5)).toEqual([-1, 0, 1, 0]);
  });

  it('are cached in memory, or in a file that goes when they do', async () => {
    const expected = await values(rows);
    for (const memory of [1e6, 0]) {
      const cached = await cachedRows(rows, memory, { folder });
      expect(cached.file === undefined).toBe(memory > 0);
      expect(await values(cached.rows)).toEqual(expected);
      await cached.dispose();
      if (cached.file !== undefined) await expect(values(cached.rows)).rejects.toThrow(/no such file/);
    }
  });
});

import { beforeAll, describe, expect, it } from '@jest/globals';
import { Matrix, SingularValueDecomposition } from 'ml-matrix';
import { RandomNumbers } from '../../src/base/index.js';
import { conditionNumber, numericalRank, powerLaw } from '../../src/diagnose/index.js';
import { startEngine } from '../../src/engine/index.js';
import { arrayRows, type RowSource } from '../../src/rows/index.js';
import { asRanks } from '../helpers/ranks.js';
import { explainedShare, fitPca, pcaReduction, reducedRows, rowMoments, rowStatistics } from '../../src/pca/index.js';

beforeAll(async () => {
  await startEngine();
});

const normals = (rows: number, width: number, seed = 1): Float32Array =>
  Float32Array.from(new RandomNumbers(seed).for('rows').normals(rows * width));

const source = (data: Float32Array, rows: number): RowSource => arrayRows('x', data, rows, data.length / rows);

/** Variances along the axes, by the singular values of the centred rows. */
function bySvd(data: Float32Array, rows: number): number[] {
  const width = data.length / rows;
  const centred = new Matrix(rows, width);
  for (let j = 0; j < width; j++) {
    let mean = 0;
    for (let i = 0; i < rows; i++) mean += data[i * width + j] / rows;
    for (let i = 0; i < rows; i++) centred.set(i, j, data[i * width + j] - mean);
  }
  const { diagonal } = new SingularValueDecomposition(centred.transpose(), {
    computeLeftSingularVectors: false,
    computeRightSingularVectors: false,
  });
  return diagonal.slice(0, rows - 1).map(s => s ** 2 / (rows - 1));
}

const spectrumOf = async (rows: RowSource): Promise<Float64Array> =>
  (await rowStatistics(rows, { threads: 1 })).spectrum();

describe('sixty rows of 2048 numbers', () => {
  it('have the spectrum that singular values give: rank 59, the same condition, no slope into rounding', async () => {
    const data = normals(60, 2048);
    const spectrum = await spectrumOf(source(data, 60));
    const expected = bySvd(data, 60);
    expect(spectrum.length).toBe(2048);
    expect(spectrum.subarray(0, 59)).toBeAllClose(expected, { rtol: 1e-10 });
    expect(numericalRank(spectrum)).toBe(59);
    expect(conditionNumber(spectrum)).toBeCloseTo(expected[0] / expected[58], 9);
    expect(powerLaw(spectrum).ranks).toEqual([11, 59]);
  });
});

it.each([
  ['fewer rows than columns', 30, 40],
  ['more rows than columns', 40, 30],
])('ranks have the spectrum of one process, solved for once: %s', async (_, rows, width) => {
  const x = source(normals(rows, width), rows);
  const one = await spectrumOf(x);
  const spectra = await asRanks(3, async communicator =>
    (await rowStatistics(x, { threads: 1, communicator })).spectrum(),
  );
  for (const spectrum of spectra) expect(spectrum).toBeAllClose(one, { rtol: 1e-10 });
});

describe('fewer rows than columns', () => {
  it('have the same mean, squares and axes as their scatter gives', async () => {
    const [rows, width] = [30, 40];
    const x = source(normals(rows, width), rows);
    const { mean, squares, ...statistics } = await rowStatistics(x, { threads: 1 });
    const spectrum = await statistics.spectrum();
    const { mean: expected, scatter } = await rowMoments(x, { threads: 1 });
    expect(mean).toBeAllClose(expected, { rtol: 1e-12, atol: 1e-14 });
    expect(squares).toBeAllClose(
      Float64Array.from({ length: width }, (_, j) => scatter[j * width + j]),
      { rtol: 1e-12 },
    );
    const { components, dims } = await fitPca(x, { dims: rows - 1, threads: 1 });
    expect(dims).toBe(rows - 1);
    // C v = λ v
    for (let k = 0; k < dims; k++)
      for (let i = 0; i < width; i++) {
        let image = 0;
        for (let j = 0; j < width; j++) image += (scatter[i * width + j] / (rows - 1)) * components[k * width + j];
        expect(image).toBeCloseTo(spectrum[k] * components[k * width + i], 10);
      }
  });

  it.each([
    [2, 50],
    [3, 3],
    [5, 6],
  ])('%d rows of %d numbers vary along one axis less than there are rows', async (rows, width) => {
    expect(numericalRank(await spectrumOf(source(normals(rows, width), rows)))).toBe(rows - 1);
  });
});

describe('the numerical rank', () => {
  const [rows, width] = [50, 80];
  const plane = (count: number): Float32Array => {
    const [a, b] = [normals(count, 5, 2), normals(5, width, 3)];
    return Float32Array.from({ length: count * width }, (_, at) => {
      let sum = 0;
      for (let k = 0; k < 5; k++) sum += a[Math.floor(at / width) * 5 + k] * b[k * width + (at % width)];
      return sum;
    });
  };

  it.each([50, 300])('is that of the product %d rows were made as, though single precision rounds it', async count => {
    expect(numericalRank(await spectrumOf(source(plane(count), count)))).toBe(5);
  });

  it('counts distinct rows, and columns that vary', async () => {
    const ten = normals(10, width);
    const repeated = Float32Array.from({ length: 40 * width }, (_, at) => ten[at % ten.length]);
    expect(numericalRank(await spectrumOf(source(repeated, 40)))).toBe(9);
    const constant = normals(300, 12).map((value, at) => (at % 4 === 0 ? 3.7 : value));
    expect(numericalRank(await spectrumOf(source(constant, 300)))).toBe(9);
  });

  it.each([1e-7, 1e6])('does not depend on the unit: %d', async scale => {
    const data = normals(rows, width);
    const [one, other] = [
      await spectrumOf(source(data, rows)),
      await spectrumOf(
        source(
          data.map(x => x * scale),
          rows,
        ),
      ),
    ];
    expect(other.map(value => value / scale ** 2)).toBeAllClose(one, { rtol: 1e-6 });
  });

  it.each([1e3, 1e6])('nor on an offset of %d with a deviation of 0.1', async offset => {
    const data = normals(rows, width).map(x => offset + 0.1 * x);
    const spectrum = await spectrumOf(source(data, rows));
    expect(spectrum.subarray(0, rows - 1)).toBeAllClose(bySvd(data, rows), { rtol: 1e-7 });
    expect(numericalRank(spectrum)).toBe(rows - 1);
  });
});

describe('axes that are rounding', () => {
  it.each([
    [20, 20],
    [20, 90],
    [200, 60],
  ])('are not among those of %d rows of %d numbers, so that standardizing blows nothing up', async (rows, width) => {
    const data = normals(rows, width);
    // In 200 rows the last columns repeat the first.
    if (rows > width) for (let at = 0; at < data.length; at++) if (at % width >= 50) data[at] = data[at - (at % width)];
    const pca = await fitPca(source(data, rows), { dims: Math.min(rows, width), threads: 1 });
    expect(pca.dims).toBe(rows > width ? 50 : 19);
    const squares = new Float64Array(pca.dims);
    for await (const chunk of reducedRows(pcaReduction(pca), source(data, rows)).chunks())
      chunk.data.forEach((value, at) => (squares[at % pca.dims] += value ** 2 / rows));
    expect(squares).toBeAllClose(new Float64Array(pca.dims).fill(1), { rtol: 1e-5 });
  });

  it('all axes explain the whole variance and no more', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const pca = await fitPca(source(normals(40, 7 + seed, seed), 40), { dims: 7 + seed, threads: 1 });
      expect(explainedShare(pca, pca.dims)).toBe(1);
    }
  });
});

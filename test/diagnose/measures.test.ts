import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { inverse, Matrix } from 'ml-matrix';
import { RandomNumbers } from '../../src/base/index.js';
import {
  alignment,
  calinskiHarabasz,
  channelSummary,
  classCentres,
  columnMeans,
  daviesBouldin,
  excessKurtosis,
  fisherRatio,
  meanCosine,
  mleDimension,
  silhouette,
  streamedRedundancy,
  tokenCorrelations,
  tokenRedundancy,
  tokenStds,
  twoNn,
  uniformity,
  type RowSample,
} from '../../src/diagnose/index.js';
import { kernelDensities } from '../../src/diagnose/uniformity.js';
import type { LabelledSample } from '../../src/diagnose/rows.js';
import { startEngine, tf } from '../../src/engine/index.js';
import { nearestNeighbours } from '../../src/neighbours/index.js';
import { arrayRows } from '../../src/rows/index.js';
import { rowStatistics } from '../../src/pca/index.js';

interface Golden {
  versions: Record<string, string>;
  x: number[][];
  labels: number[];
  features: number[][];
  plane: number[][];
  density: number[];
  kurtosis: number[];
  [measure: string]: unknown;
}

/** Recorded by fixtures/golden/diagnose/record.py from scikit-learn and SciPy. */
const golden = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../fixtures/golden/diagnose/measures.json', import.meta.url)), 'utf8'),
) as Golden;
const value = (measure: string): number => golden[measure] as number;
const flat = (rows: number[][]): Float32Array => Float32Array.from(rows.flat());

const sample: LabelledSample = {
  rows: golden.x.length,
  width: golden.x[0].length,
  data: flat(golden.x),
  labels: Int32Array.from(golden.labels),
  classes: 3,
};

beforeAll(async () => {
  await startEngine();
});

describe('with labels, scikit-learn’s values', () => {
  it('silhouette, without leaving tensors behind', async () => {
    const before = tf.memory().numTensors;
    expect(await silhouette(sample, classCentres(sample))).toBeCloseTo(value('silhouette'), 5);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('Davies–Bouldin', async () => {
    expect(await daviesBouldin(sample, classCentres(sample))).toBeCloseTo(value('davies_bouldin'), 5);
  });

  it('Calinski–Harabasz', () => {
    expect(calinskiHarabasz(sample, classCentres(sample))).toBeCloseTo(value('calinski_harabasz'), 4);
  });

  it('Fisher’s ratio with Ledoit and Wolf’s shrinkage', async () => {
    const { ratio, shrinkage } = await fisherRatio(sample, classCentres(sample));
    expect(shrinkage).toBeCloseTo(value('shrinkage'), 6);
    expect(ratio).toBeCloseTo(value('fisher_ratio'), 5);
  });
});

describe('alignment with given features', () => {
  const features = { rows: sample.rows, width: 4, data: flat(golden.features) };

  it('is CKNNA by its dense definition', async () => {
    const mean = columnMeans(sample);
    const data = sample.data.map((x, at) => x - mean[at % sample.width]);
    const before = tf.memory().numTensors;
    const { cknna, mutualNeighbours } = await alignment({ ...sample, data }, features, 10);
    expect(cknna).toBeCloseTo(value('cknna'), 4);
    expect(mutualNeighbours).toBeCloseTo(value('mutual_neighbours'), 10);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('is 1 for a space and itself, rotated', async () => {
    const turned = features.data.map((_, at) => features.data[at % 2 === 0 ? at + 1 : at - 1]);
    const { cknna, mutualNeighbours } = await alignment(features, { ...features, data: turned }, 10);
    expect(cknna).toBeCloseTo(1, 5);
    expect(mutualNeighbours).toBe(1);
  });
});

describe('intrinsic dimension', () => {
  /** Points uniform on a `dims`-dimensional cube, turned into `width` dimensions by a fixed linear map. */
  async function distances(dims: number, width: number, rows = 1500) {
    const random = new RandomNumbers(3);
    const inner = random.for('points').uniforms(rows * dims);
    const map = random.for('map').normals(dims * width);
    const data = new Float32Array(rows * width);
    for (let i = 0; i < rows; i++)
      for (let a = 0; a < dims; a++)
        for (let j = 0; j < width; j++) data[i * width + j] += inner[i * dims + a] * map[a * width + j];
    return await nearestNeighbours(data, rows, width, 10);
  }

  it.each([1, 2, 5])('of a uniform %d-dimensional manifold in 12 dimensions', async dims => {
    const neighbours = await distances(dims, 12);
    expect(Math.abs(twoNn(neighbours) - dims) / dims).toBeLessThan(0.12);
    expect(Math.abs(mleDimension(neighbours) - dims) / dims).toBeLessThan(0.12);
  });

  it('duplicates say nothing of it', () => {
    const values = Float32Array.of(1, 2, 1, 4, 1, 3, 1, 2.5);
    const withDuplicates = Float32Array.of(0, 0, ...values, 0, 1);
    expect(twoNn({ k: 2, values: withDuplicates })).toBe(twoNn({ k: 2, values }));
    expect(mleDimension({ k: 2, values: withDuplicates })).toBe(mleDimension({ k: 2, values }));
    expect(twoNn({ k: 2, values: new Float32Array(8) })).toBeNaN();
  });
});

describe('isotropy', () => {
  it('the mean cosine is that over all pairs of rows', () => {
    const rows = [
      [3, 4],
      [1, 0],
      [0, -2],
    ];
    const cosines = [0.6, -0.8, 0];
    const mean = cosines.reduce((a, b) => a + b) / 3;
    expect(meanCosine({ rows: 3, width: 2, data: flat(rows) })).toBeCloseTo(mean, 6);
  });
});

describe('fewer rows than columns', () => {
  const [rows, width] = [18, 24];
  const few: LabelledSample = {
    rows,
    width,
    data: Float32Array.from(new RandomNumbers(4).normals(rows * width)),
    labels: Int32Array.from({ length: rows }, (_, row) => row % 3),
    classes: 3,
  };

  it('have the Fisher ratio that the definition gives in all columns', async () => {
    const centres = classCentres(few);
    const { ratio, shrinkage } = await fisherRatio(few, centres);
    const mean = columnMeans(few);
    const within = new Matrix(width, width);
    for (let i = 0; i < rows; i++) {
      const rest = Array.from(
        { length: width },
        (_, j) => few.data[i * width + j] - centres.centres[few.labels[i] * width + j],
      );
      within.add(Matrix.columnVector(rest).mmul(Matrix.rowVector(rest)).div(rows));
    }
    const target = Matrix.eye(width, width).mul((shrinkage * within.trace()) / width);
    const metric = inverse(Matrix.mul(within, 1 - shrinkage).add(target));
    let expected = 0;
    for (let k = 0; k < 3; k++) {
      const offset = Matrix.columnVector(Array.from(mean, (m, j) => centres.centres[k * width + j] - m));
      expected += (centres.counts[k] / rows) * offset.transpose().mmul(metric).mmul(offset).get(0, 0);
    }
    expect(ratio).toBeCloseTo(expected, 8);
    expect(shrinkage).toBeGreaterThan(0);
  });
});

describe('the unit of the rows', () => {
  it.each([1e-7, 1e6])('changes no measure: × %d', async unit => {
    const scaled = { ...sample, data: sample.data.map(x => x * unit) };
    const measures = async (of: LabelledSample): Promise<number[]> => {
      const centres = classCentres(of);
      const { ratio, shrinkage } = await fisherRatio(of, centres);
      const rows = arrayRows('x', of.data, of.rows, of.width);
      const distances = await nearestNeighbours(of.data, of.rows, of.width, 10);
      const other: RowSample = { rows: of.rows, width: of.width, data: of.data.map(x => x * x) };
      const { cknna } = await alignment(of, other, 10);
      return [
        ...[ratio, shrinkage, await silhouette(of, centres), await daviesBouldin(of, centres)],
        calinskiHarabasz(of, centres),
        ...[twoNn(distances), mleDimension(distances), meanCosine(of), cknna],
        ...(await excessKurtosis(rows, columnMeans(of))),
      ];
    };
    expect(await measures(scaled)).toBeAllClose(await measures(sample), { rtol: 1e-3, atol: 1e-4 });
  });
});

describe('tokens and channels', () => {
  /** Two tokens of two channels; the second token repeats the first, and the second channel is constant. */
  const random = new RandomNumbers(0).normals(400);
  const data = Float32Array.from({ length: 1600 }, (_, at) => (at % 2 === 0 ? 2 * random[Math.floor(at / 4)] + 1 : 5));

  function moments() {
    const mean = columnMeans({ rows: 400, width: 4, data });
    const scatter = new Float64Array(16);
    for (let i = 0; i < 400; i++)
      for (let a = 0; a < 4; a++)
        for (let b = 0; b < 4; b++) scatter[a * 4 + b] += (data[i * 4 + a] - mean[a]) * (data[i * 4 + b] - mean[b]);
    return { rows: 400, mean, scatter, squares: Float64Array.from([0, 5, 10, 15], at => scatter[at]) };
  }

  it('a channel that does not vary is dead', () => {
    const { std, mean, dead } = channelSummary(moments(), 2);
    expect(std[0]).toBeCloseTo(2, 0);
    expect(mean[1]).toBeCloseTo(5, 5);
    expect([std[1], dead]).toEqual([0, 1]);
  });

  it('copies of one token are wholly redundant, independent ones not', () => {
    expect(tokenRedundancy(tokenCorrelations(moments().scatter, 2), 2)).toBeCloseTo(1, 10);
    const scatter = Float64Array.from({ length: 16 }, (_, at) => (at % 5 === 0 ? 1 : 0));
    expect(tokenRedundancy(tokenCorrelations(scatter, 2), 2)).toBe(0);
    expect(tokenStds(moments(), 2)[0]).toBeCloseTo(Math.SQRT2, 0);
  });

  it('redundancy is the same streamed over the rows as from the scatter', async () => {
    const rows = arrayRows('x', sample.data, sample.rows, sample.width);
    const { scatter, ...moments } = await rowStatistics(rows, { threads: 1 });
    const expected = tokenRedundancy(tokenCorrelations(scatter!, 4), 4);
    expect(await streamedRedundancy(rows, moments, 4)).toBeCloseTo(expected, 12);
  });

  it('excess kurtosis is SciPy’s', async () => {
    const rows = arrayRows('x', sample.data, sample.rows, sample.width);
    expect(await excessKurtosis(rows, columnMeans(sample))).toBeAllClose(golden.kurtosis, { rtol: 1e-5 });
  });
});

describe('uniformity of points in the plane', () => {
  it('is that of SciPy’s kernel density', () => {
    const plane = flat(golden.plane);
    expect(kernelDensities(plane)).toBeAllClose(golden.density, { rtol: 1e-5 });
    const { densityStd, densityCv, normalisedEntropy, gini } = uniformity(plane);
    expect(densityStd).toBeCloseTo(value('density_std'), 6);
    expect(densityCv).toBeCloseTo(value('density_cv'), 5);
    expect(normalisedEntropy).toBeCloseTo(value('normalised_entropy'), 6);
    expect(gini).toBeCloseTo(value('gini'), 5);
  });

  it('clumped points are less uniform than spread ones', () => {
    const random = new RandomNumbers(1);
    const spread = random.for('spread').uniforms(600);
    const clumped = random
      .for('clumped')
      .normals(600)
      .map((z, at) => z * 0.05 + (at % 10 < 8 ? 0 : 3));
    expect(uniformity(clumped).densityCv).toBeGreaterThan(uniformity(spread).densityCv);
    expect(uniformity(clumped).gini).toBeGreaterThan(uniformity(spread).gini);
    expect(uniformity(clumped).normalisedEntropy).toBeLessThan(uniformity(spread).normalisedEntropy);
  });
});

import { beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { RandomNumbers } from '../../src/base/index.js';
import { startEngine, tf } from '../../src/engine/index.js';
import { readNpz, writeNpz } from '../../src/io/index.js';
import {
  componentStatistics,
  confusion,
  diffusionFloor,
  effectiveComponents,
  findModes,
  fitMixture,
  gaussianSurrogate,
  loadMixture,
  mergeTree,
  openWorkspace,
  permuteDimensions,
  saveMixture,
  splitHeaviest,
  type CovarianceType,
} from '../../src/gmm/index.js';
import { bootstrapMean } from '../../src/statistics/index.js';
import { tempFolder } from '../helpers/temp.js';
import { clusteredRows, isotropic } from './helpers.js';

beforeAll(async () => {
  await startEngine();
});
const folder = tempFolder();

describe('the floor of the diffusion loss', () => {
  it('of one standard Gaussian is 1/((1−t)² + t²) per dimension, with integral π/2', () => {
    const bins = 400;
    const times = Float64Array.from({ length: bins }, (_, i) => (i + 0.5) / bins);
    const floor = diffusionFloor(isotropic([[0, 0, 0]]), { times, seed: 0 });
    floor.forEach((loss, i) => expect(loss).toBeCloseTo(1 / ((1 - times[i]) ** 2 + times[i] ** 2), 12));
    expect(floor.reduce((a, b) => a + b, 0) / bins).toBeCloseTo(Math.PI / 2, 5);
  });

  it('of several components is that of one where they coincide, and lower where they stand apart', () => {
    const times = [0.2, 0.5, 0.8];
    const one = diffusionFloor(isotropic([[0, 0]]), { times, seed: 0 });
    const same = diffusionFloor(
      isotropic([
        [0, 0],
        [0, 0],
      ]),
      { times, seed: 0 },
    );
    expect(same).toBeAllClose(one, { rtol: 1e-5 });
    // Far apart, with the spread of each within a unit: one knows which component x_t is from, so each is its own floor.
    const far = diffusionFloor(
      isotropic(
        [
          [-60, 0],
          [60, 0],
        ],
        0.25,
      ),
      { times: [0.5], seed: 0, samples: 2000 },
    );
    const alone = diffusionFloor(isotropic([[0, 0]], 0.25), { times: [0.5], seed: 0 });
    expect(far[0]).toBeCloseTo(alone[0], 4);
  });

  it('agrees with a brute-force mean over data and noise', () => {
    const mixture = isotropic([[-1.5], [2]], 0.3);
    const t = 0.6;
    const [floor] = diffusionFloor(mixture, { times: [t], seed: 1, samples: 8000 });
    const random = new RandomNumbers(9);
    const n = 60_000;
    const [noise, spread, coin] = [random.for('a').normals(n), random.for('b').normals(n), random.for('c').uniforms(n)];
    let total = 0;
    for (let i = 0; i < n; i++) {
      const data = (coin[i] < 0.5 ? -1.5 : 2) + Math.sqrt(0.3) * spread[i];
      const x = t * data + (1 - t) * noise[i];
      const s = t * t * 0.3 + (1 - t) ** 2;
      const gain = (t * 0.3 - (1 - t)) / s;
      const answers = [-1.5, 2].map(mean => mean + gain * (x - t * mean));
      const likes = [-1.5, 2].map(mean => Math.exp((-0.5 * (x - t * mean) ** 2) / s));
      const velocity = (answers[0] * likes[0] + answers[1] * likes[1]) / (likes[0] + likes[1]);
      total += (data - noise[i] - velocity) ** 2 / n;
    }
    expect(floor).toBeGreaterThan(total * 0.97);
    expect(floor).toBeLessThan(total * 1.03);
  });

  it('leaves no tensors behind', () => {
    const before = tf.memory().numTensors;
    diffusionFloor(
      isotropic([
        [0, 0],
        [1, 1],
      ]),
      { times: [0.3, 0.6], seed: 0, samples: 16 },
    );
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('what the components say', () => {
  it('gives the theorem’s constants', () => {
    const [first, second] = componentStatistics(
      isotropic(
        [
          [3, 4],
          [0, 0],
        ],
        2,
      ),
    );
    expect(first).toEqual({
      cluster: 0,
      weight: 0.5,
      meanNorm: 5,
      covarianceNorm: Math.sqrt(8),
      secondMoment: 29,
      minMeanDistance: 5,
    });
    expect(second.meanNorm).toBe(0);
    expect(componentStatistics(isotropic([[1]]))[0].minMeanDistance).toBeNaN();
  });

  it('counts effective components by entropy', () => {
    expect(effectiveComponents(Float64Array.of(0.25, 0.25, 0.25, 0.25))).toBeCloseTo(4);
    expect(effectiveComponents(Float64Array.of(1, 0, 0))).toBeCloseTo(1);
  });

  it('finds modes, not components: two near means share one', () => {
    const { points, modeOf } = findModes(
      isotropic([
        [0, 0],
        [0.5, 0],
        [8, 0],
      ]),
    );
    expect(points).toHaveLength(2);
    expect(modeOf[0]).toBe(modeOf[1]);
    expect(modeOf[2]).not.toBe(modeOf[0]);
    expect(points[modeOf[0]]).toBeAllClose([0.25, 0], { atol: 1e-4 });
  });

  it('merges first what shares most rows', async () => {
    const rows = clusteredRows(1200, 2, 3, 6);
    const ws = await openWorkspace(rows, { components: 4, covariance: 'full', memory: 1e9, threads: 1 });
    const { mixture } = await fitMixture(ws, {
      components: 4,
      start: 'kmeans',
      restarts: 3,
      regCovar: 1e-6,
      tol: 1e-3,
      maxIter: 100,
      seed: 0,
    });
    const shared = await confusion(ws, mixture);
    await ws.close();
    expect(shared.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 4);
    const merges = mergeTree(shared, 4);
    expect(merges.map(({ groups }) => groups)).toEqual([3, 2, 1]);
    // Three planted modes: the fourth component halves one of them.
    expect(merges[0].overlap).toBeGreaterThan(0.02);
    expect(merges[1].overlap).toBeLessThan(merges[0].overlap / 5);
  });

  it('splits the heaviest component without changing mean or sum of weights', () => {
    const start = isotropic([
      [0, 0],
      [5, 5],
    ]);
    start.weights.set([0.9, 0.1]);
    const grown = splitHeaviest(start, 4);
    expect([...grown.weights].sort()).toEqual([0.1, 0.225, 0.225, 0.45]);
    const mean = [0, 1].map(j => grown.weights.reduce((sum, w, k) => sum + w * grown.means[2 * k + j], 0));
    expect(mean).toBeAllClose([0.5, 0.5]);
  });
});

describe('nulls', () => {
  it('a Gaussian surrogate has the mean and covariance asked for, whatever the chunks', async () => {
    const covariance = Float64Array.of(2, 0.8, 0.8, 1);
    const source = gaussianSurrogate({ name: 'x', rows: 20_000 }, Float64Array.of(1, -1), covariance, 3);
    const read = async (chunkRows: number): Promise<number[]> => {
      const all: number[] = [];
      for await (const { data, rows } of source.chunks({ chunkRows })) all.push(...data.subarray(0, rows * 2));
      return all;
    };
    const data = await read(20_000);
    expect((await read(999)).slice(0, 4000)).toEqual(data.slice(0, 4000));
    let [x, y, xy] = [0, 0, 0];
    for (let i = 0; i < data.length; i += 2) {
      x += data[i] / 20_000;
      y += data[i + 1] / 20_000;
      xy += ((data[i] - 1) * (data[i + 1] + 1)) / 20_000;
    }
    expect([x, y, xy]).toBeAllClose([1, -1, 0.8], { atol: 0.05 });
  });

  it('permuted dimensions keep their values and lose their ties', () => {
    const data = Float32Array.from({ length: 2000 }, (_, i) => Math.floor(i / 2));
    const out = permuteDimensions(data, 1000, 2, 0);
    const column = (j: number): number[] => Array.from({ length: 1000 }, (_, n) => out[2 * n + j]);
    expect(column(0).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, n) => n));
    const together = column(0).filter((value, n) => value === column(1)[n]).length;
    expect(together).toBeLessThan(10);
  });
});

it('bootstrap intervals cover the true mean about 95 times in 100', () => {
  const random = new RandomNumbers(4);
  let covered = 0;
  for (let trial = 0; trial < 40; trial++) {
    const { low, high } = bootstrapMean([random.at(trial).normals(40)], random.for('resample').at(trial));
    if (low < 0 && high > 0) covered++;
  }
  expect(covered).toBeGreaterThan(33);
});

describe('a mixture file', () => {
  it.each(['full', 'tied', 'diag', 'spherical'] as CovarianceType[])('comes back as it was (%s)', async kind => {
    const mixture = isotropic(
      [
        [1, 2],
        [3, 5],
      ],
      0.5,
      kind,
    );
    const path = join(folder, `${kind}.npz`);
    await saveMixture(path, { mixture, converged: true, iterations: 3, lowerBound: -1.5 });
    expect((await loadMixture(path)).mixture).toEqual(mixture);
    const arrays = await readNpz(path);
    const expected = { full: [2, 2, 2], tied: [2, 2], diag: [2, 2], spherical: [2] }[kind as 'full'];
    expect(arrays.precisions_cholesky_.shape).toEqual(expected);
    expect(arrays.precisions_cholesky_.data[0]).toBeCloseTo(Math.SQRT2);
  });

  it('that is no mixture is refused in one line', async () => {
    const path = join(folder, 'other.npz');
    const float64 = (shape: number[], data: number[]) => ({
      shape,
      dtype: 'float64' as const,
      data: Float64Array.from(data),
    });
    await writeNpz(path, { means_: float64([1, 2], [0, 0]) });
    await expect(loadMixture(path)).rejects.toThrow(/other.npz: holds no weights_/);
    const bad = { weights_: float64([1], [1]), means_: float64([1, 2], [0, 0]), covariances_: float64([3], [1, 1, 1]) };
    await writeNpz(path, bad, { force: true });
    await expect(loadMixture(path)).rejects.toThrow(/covariances_ \[3\] do not fit 1 components in 2 dimensions/);
  });
});

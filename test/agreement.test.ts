import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { mleDimension, twoNn } from '../src/diagnose/index.js';
import { startEngine } from '../src/engine/index.js';
import { nearestNeighbours } from '../src/neighbours/index.js';
import { fitMixture, openWorkspace } from '../src/gmm/index.js';
import { COVARIANCE_TYPES } from '../src/gmm/names.js';
import { arrayRows } from '../src/rows/index.js';
import { frechetDistance, openMetrics, PAIR_METRICS, type FeatureMoments } from '../src/metrics/index.js';
import type { FeatureRows } from '../src/metrics/rows.js';
import { fitPca } from '../src/pca/index.js';

/*
 * The table of docs/agreement.md: our side of each row. Right values are the definitions' in float64, recorded by
 * fixtures/golden/agreement/record.py, which prints the peers' beside them.
 */
const EXPECTED = fileURLToPath(new URL('../fixtures/golden/agreement/expected.json', import.meta.url));
const expected = JSON.parse(readFileSync(EXPECTED, 'utf8')) as {
  mixtures: Record<string, { variance: number; score: number }>;
  pca: Record<string, number[]>;
  dimension: Record<'once' | 'twice', { mle: number; twonn: number }>;
  psnr: { mean: number; each: number[] };
  precision_recall: { precision: number; recall: number };
  distances: Record<string, number[]>;
  frechet: number;
};

beforeAll(async () => {
  await startEngine();
});

/** Numbers of mean 0 and deviation 1, as record.py draws them. */
function draws(count: number, seed: number): Float64Array {
  let state = seed;
  return Float64Array.from({ length: count }, () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * Math.sqrt(12);
  });
}

const rows = (n: number, d: number, seed: number, offset = 0, deviation = 1): Float32Array =>
  Float32Array.from(draws(n * d, seed), value => offset + deviation * value);

const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0) / values.length;

describe('a mixture of one component is the Gaussian of its rows, whatever their offset', () => {
  const scales = [[0, 1], [10, 1], [100, 1], [100, 0.1]] as const; // prettier-ignore
  it.each(COVARIANCE_TYPES.flatMap(type => scales.map(scale => [type, ...scale] as const)))(
    '%s covariance, mean %d, deviation %d',
    async (covariance, offset, deviation) => {
      const source = arrayRows('rows', rows(2000, 8, 1, offset, deviation), 2000, 8);
      const workspace = await openWorkspace(source, { components: 1, covariance, memory: 1e9, threads: 1 });
      const settings = {
        components: 1,
        start: 'kmeans' as const,
        restarts: 1,
        regCovar: 1e-6,
        tol: 1e-6,
        maxIter: 20,
        seed: 0,
      };
      const { mixture, logLikelihood } = await fitMixture(workspace, settings);
      const { covariances } = mixture;
      const variances = covariances.length === 64 ? covariances.filter((_, i) => i % 9 === 0) : covariances;
      const right = expected.mixtures[`${covariance} ${offset} ${deviation}`];
      expect([mean(variances)]).toBeAllClose([right.variance], { rtol: 2e-5 });
      expect([logLikelihood]).toBeAllClose([right.score], { rtol: 2e-5 });
    },
  );
});

it.each([639, 640])(
  'PCA of %i float32 rows of 64 columns, mean 100 and deviation 0.1, has all its variances',
  async n => {
    const source = arrayRows('rows', rows(n, 64, 2, 100, 0.1), n, 64);
    const { spectrum } = await fitPca(source, { dims: 64, threads: 1 });
    expect(spectrum.subarray(0, 64)).toBeAllClose(expected.pca[n], { rtol: 1e-6 });
  },
);

it('PCA of fewer rows than columns has no axis without variance', async () => {
  const source = arrayRows('rows', rows(20, 50, 3), 20, 50);
  const { spectrum } = await fitPca(source, { dims: 19, threads: 1 });
  expect(Math.min(...spectrum.subarray(0, 19))).toBeGreaterThan(0.1);
});

describe('intrinsic dimension', () => {
  const dimensions = async (data: Float32Array): Promise<{ mle: number; twonn: number }> => {
    const found = await nearestNeighbours(data, data.length / 10, 10, 20);
    return { mle: mleDimension(found), twonn: twoNn(found) };
  };
  const once = rows(1000, 10, 4);

  it.each([
    ['distinct', 'once', once],
    ['of which one stands twice', 'twice', Float32Array.of(...once, ...once.subarray(0, 10))],
  ] as const)('of rows %s', async (_, name, data) => {
    const { mle, twonn } = await dimensions(data);
    expect([mle, twonn]).toBeAllClose([expected.dimension[name].mle, expected.dimension[name].twonn], { rtol: 1e-4 });
  });
});

describe('PSNR', () => {
  const size = 8 * 192;
  const bytes = (value: number): number => Math.min(255, Math.max(0, Math.round(value)));
  const truth = draws(size, 5).map(value => bytes(128 + 40 * value));
  const noisy = draws(size, 6).map((value, i) => bytes(truth[i] + (value * 2 ** Math.floor(i / 192)) / 2));
  // Half a level up: images in [−1, 1] are truncated to bytes.
  const scaled = (values: Float64Array): Float32Array => Float32Array.from(values, value => (value - 127.5) / 127.5);
  const psnr = PAIR_METRICS.find(({ name, variant }) => name === 'psnr' && variant === 'uint8')!;
  const each = Array.from({ length: 8 }, (_, k) => {
    const part = (values: Float64Array): Float32Array => scaled(values.subarray(192 * k, 192 * (k + 1)));
    return psnr.of({ height: 8, width: 8, truth: part(truth), reconstruction: part(noisy) });
  });

  it('is each image’s own, in 8 bits', () => {
    expect(each).toBeAllClose(expected.psnr.each, { rtol: 1e-6 });
  });

  it('of a table is the mean of its images’', () => {
    expect(mean(each)).toBeCloseTo(expected.psnr.mean, 5);
  });
});

it('precision and recall take a sample at the very edge of a ball for inside, with three neighbours', async () => {
  const [metric] = await openMetrics(['precision-recall']);
  const side = (...values: number[]): unknown => {
    const rows: FeatureRows = { rows: values.length, width: 1, data: Float32Array.from(values) };
    const state = metric.init({ width: 1, seed: 0, bootstrap: 0, directions: 0, count: rows.rows });
    metric.add(state, rows);
    return state;
  };
  const context = { width: 1, seed: 0, bootstrap: 0, directions: 0, count: 5 };
  const scores = await metric.value(side(-3, 10, 2.5, 20, 21), side(0, 1, 2, 3, 4, 5, 6, 7), context);
  const { precision, recall } = expected.precision_recall;
  // In float32; the variant with ADM's rounding follows.
  expect(scores.slice(0, 2).map(({ metric }) => metric)).toEqual(['precision', 'recall']);
  expect(scores.slice(0, 2).map(({ value }) => value)).toBeAllClose([precision, recall], { rtol: 1e-6 });
});

it.each([25, 26])('distances among %i rows far from the origin keep their digits', async n => {
  const { values } = await nearestNeighbours(rows(n, 16, 7, 100, 0.01), n, 16, 1);
  expect(values).toBeAllClose(expected.distances[n], { rtol: 1e-5 });
});

describe('the Fréchet distance of covariances without full rank', () => {
  const width = 96;
  const spread = draws(width * width, 8);
  const first = rows(40, width, 9);
  const a = Array.from({ length: 40 }, (_, i) =>
    Array.from({ length: width }, (_, j) => {
      let sum = 0;
      for (let k = 0; k < width; k++) sum += first[i * width + k] * spread[k * width + j];
      return sum;
    }),
  );
  const b = a.slice(0, 30).map(row => row.map(value => 1.1 * value + 0.1));

  function moments(data: number[][], rounded: (value: number) => number): FeatureMoments {
    const centre = Array.from({ length: width }, (_, j) => mean(data.map(row => row[j])));
    const covariance = Float64Array.from({ length: width * width }, (_, at) => {
      const [i, j] = [Math.floor(at / width), at % width];
      return rounded(
        data.reduce((sum, row) => sum + (row[i] - centre[i]) * (row[j] - centre[j]), 0) / (data.length - 1),
      );
    });
    return { mean: Float64Array.from(centre, rounded), covariance };
  }

  it.each([
    ['float64', (value: number) => value, 1e-6],
    ['float32', Math.fround, 1e-4],
  ] as const)('is right of statistics kept as %s', (_, rounded, rtol) => {
    expect([frechetDistance(moments(a, rounded), moments(b, rounded))]).toBeAllClose([expected.frechet], { rtol });
  });
});

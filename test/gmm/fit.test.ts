import { describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { arrayRows, selectedRows, type RowSource } from '../../src/rows/index.js';
import {
  fitMixture,
  logDensities,
  openWorkspace,
  type CovarianceType,
  type Fit,
  type FitOptions,
  type FitState,
} from '../../src/gmm/index.js';
import { COVARIANCE_TYPES, STARTS } from '../../src/gmm/names.js';
import { clusteredRows } from './helpers.js';

const OPTIONS: FitOptions = {
  components: 5,
  start: 'kmeans',
  restarts: 1,
  regCovar: 1e-6,
  tol: 1e-3,
  maxIter: 60,
  seed: 0,
};

async function fit(
  source: RowSource,
  options: Partial<FitOptions> = {},
  covariance: CovarianceType = 'full',
  { memory = 1e9, threads = 1 } = {},
): Promise<Fit> {
  const chosen = { ...OPTIONS, ...options };
  const ws = await openWorkspace(source, { components: chosen.components, covariance, memory, threads });
  try {
    return await fitMixture(ws, chosen);
  } finally {
    await ws.close();
  }
}

const rows = clusteredRows(1500, 6, 5);

describe('duplicated rows', () => {
  it.each([0, 1, 4])('end the fit where only rounding moves the likelihood (seed %d)', async seed => {
    const ten = new RandomNumbers(seed).normals(10 * 5);
    const data = Float32Array.from({ length: 400 * 5 }, (_, at) => ten[at % ten.length]);
    const { converged, iterations, falls } = await fit(arrayRows('ten', data, 400, 5));
    expect(converged).toBe(true);
    expect(iterations).toBeLessThan(15);
    expect(falls).toBeLessThan(8);
  });
});

describe('the unit of the rows', () => {
  it.each([1e-7, 1e6])('changes nothing but the unit of a mixture: × %d', async unit => {
    const scaled = clusteredRows(600, 4, 3);
    const data = new Float32Array(600 * 4);
    for await (const chunk of scaled.chunks()) data.set(chunk.data, chunk.start * 4);
    const one = await fit(arrayRows('x', data, 600, 4), { components: 3, regCovar: 1e-6 });
    const other = await fit(
      arrayRows(
        'x',
        data.map(x => x * unit),
        600,
        4,
      ),
      { components: 3, regCovar: 1e-6 * unit ** 2 },
    );
    expect(other.mixture.weights).toBeAllClose(one.mixture.weights, { rtol: 1e-3 });
    expect(other.mixture.means.map(mean => mean / unit)).toBeAllClose(one.mixture.means, { rtol: 1e-3, atol: 1e-3 });
  });
});

describe('a mixture fit', () => {
  it.each(COVARIANCE_TYPES)('never lowers its bound and beats one component (%s)', async covariance => {
    const one = await fit(rows, { components: 1 }, covariance);
    const five = await fit(rows, {}, covariance);
    expect(five.converged).toBe(true);
    expect(five.falls).toBe(0);
    five.lowerBounds.slice(1).forEach((bound, i) => expect(bound).toBeGreaterThan(five.lowerBounds[i] - 1e-4));
    expect(five.logLikelihood).toBeGreaterThan(one.logLikelihood + 1);
    expect(five.mixture.weights.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
  });

  it.each(STARTS)('finds five well separated modes from a %s start with restarts', async start => {
    const { mixture } = await fit(rows, { start, restarts: 8 });
    expect(Math.min(...mixture.weights)).toBeGreaterThan(0.15);
  });

  it('with one component on standardized rows is exactly D/2 · ln 2πe', async () => {
    const dims = 7;
    const source = clusteredRows(800, dims, 1, 0);
    const data = await whitened(source);
    const { logLikelihood } = await fit(arrayRows('white', data, 800, dims), { components: 1 }, 'diag');
    expect(-logLikelihood).toBeCloseTo((dims / 2) * Math.log(2 * Math.PI * Math.E), 4);
  });

  it('is the same to the last bit in memory, streamed, on one thread or three, and across restarts of the process', async () => {
    const many = clusteredRows(70_000, 3, 4, 3);
    const options = { components: 4, maxIter: 6, tol: 0 };
    const plain = await fit(many, options);
    // Too little to hold all rows or distances: blocks of 32,768 rows are read in every pass.
    const streamed = await fit(many, options, 'full', { memory: 4.6e6, threads: 3 });
    expect(streamed.lowerBounds).toEqual(plain.lowerBounds);
    expect(streamed.mixture).toEqual(plain.mixture);

    let state: FitState | undefined;
    await expect(
      fit(many, {
        ...options,
        onIteration: current => {
          state = current();
          if (state.lowerBounds.length === 3) throw new Error('killed');
        },
      }),
    ).rejects.toThrow('killed');
    const resumed = await fit(many, { ...options, resume: state });
    expect(resumed.lowerBounds).toEqual(plain.lowerBounds);
    expect(resumed.mixture).toEqual(plain.mixture);
  });

  it('starts from a sample of very many rows and ends where a start from all of them does', async () => {
    const many = clusteredRows(70_000, 3, 4, 12);
    const most = selectedRows(
      many,
      Int32Array.from({ length: 65_000 }, (_, row) => row),
    );
    const { mixture } = await fit(most, { components: 4 });
    const [sampled, all] = [await fit(many, { components: 4 }), await fit(many, { components: 4, start: mixture })];
    expect(Math.abs(sampled.logLikelihood - all.logLikelihood)).toBeLessThan(1e-3);
  });

  it('keeps hundreds of components on few rows finite, and says which were reinitialised', async () => {
    const few = clusteredRows(300, 12, 3);
    const { logLikelihood, mixture } = await fit(few, { components: 120, maxIter: 20 });
    expect(Number.isFinite(logLikelihood)).toBe(true);
    expect(mixture.covariances.every(Number.isFinite)).toBe(true);
  });

  it('gives each row the density of a mixture written out', async () => {
    const { mixture } = await fit(rows, { components: 3 });
    const { logs, mean } = await logDensities(mixture, rows, { memory: 1e9, threads: 1 });
    const { dims } = mixture;
    const data = await firstRows(rows, 5);
    for (let n = 0; n < 5; n++) {
      let density = 0;
      for (let k = 0; k < 3; k++)
        density += mixture.weights[k] * gaussian(mixture, k, data.subarray(n * dims, (n + 1) * dims));
      expect(logs[n]).toBeCloseTo(Math.log(density), 3);
    }
    expect(mean).toBeCloseTo(logs.reduce((a, b) => a + b, 0) / logs.length, 4);
  });

  it('refuses more components than rows, data that do not vary, and memory that cannot do', async () => {
    await expect(fit(clusteredRows(4, 2, 1), { components: 5 })).rejects.toThrow(
      /5 components need at least as many rows; there are 4/,
    );
    const same = arrayRows('same', new Float32Array(60).fill(1), 20, 3);
    await expect(fit(same, { components: 2, regCovar: 0 })).rejects.toThrow(
      /no component has a positive definite covariance/,
    );
    await expect(fit(rows, {}, 'full', { memory: 1e4 })).rejects.toThrow(
      /5 full components in 6 dimensions need 1 MB of memory, more than the 1 MB that are allowed/,
    );
  });
});

async function firstRows(source: RowSource, count: number): Promise<Float32Array> {
  const out = new Float32Array(count * source.width);
  for await (const { start, data } of source.chunks({ end: count })) out.set(data, start * source.width);
  return out;
}

async function whitened(source: RowSource): Promise<Float32Array> {
  const data = await firstRows(source, source.rows);
  const { width, rows } = source;
  const out = data.slice();
  for (let j = 0; j < width; j++) {
    let mean = 0;
    let squares = 0;
    for (let n = 0; n < rows; n++) mean += data[n * width + j] / rows;
    for (let n = 0; n < rows; n++) squares += (data[n * width + j] - mean) ** 2 / rows;
    for (let n = 0; n < rows; n++) out[n * width + j] = (data[n * width + j] - mean) / Math.sqrt(squares);
  }
  return out;
}

/** N(x; μ, Σ) by elimination. */
function gaussian({ dims, means, covariances }: Fit['mixture'], k: number, x: Float32Array): number {
  const a = Array.from({ length: dims }, (_, i) =>
    Array.from(covariances.subarray((k * dims + i) * dims, (k * dims + i + 1) * dims)),
  );
  const offset = Array.from(x, (value, j) => value - means[k * dims + j]);
  const y = offset.slice();
  let logDeterminant = 0;
  for (let i = 0; i < dims; i++) {
    logDeterminant += Math.log(a[i][i]);
    for (let r = i + 1; r < dims; r++) {
      const factor = a[r][i] / a[i][i];
      for (let c = i; c < dims; c++) a[r][c] -= factor * a[i][c];
      y[r] -= factor * y[i];
    }
  }
  const squared = y.reduce((sum, value, i) => sum + (value * value) / a[i][i], 0);
  return Math.exp(-0.5 * (squared + logDeterminant + dims * Math.log(2 * Math.PI)));
}

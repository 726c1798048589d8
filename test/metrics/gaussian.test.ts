import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RandomNumbers } from '../../src/base/index.js';
import { startEngine } from '../../src/engine/index.js';
import { frechetDistance, momentsOf } from '../../src/metrics/index.js';
import { absorb, addToGaussian, emptyGaussian, type Gaussian } from '../../src/metrics/gaussian.js';
import type { FeatureRows } from '../../src/metrics/rows.js';

beforeAll(async () => {
  await startEngine();
});

const rowsOf = (seed: number, rows: number, width: number, shift = 0): FeatureRows => ({
  rows,
  width,
  data: new RandomNumbers(seed, 'rows').normals(rows * width).map(value => value + shift),
});
const slice = ({ width, data }: FeatureRows, start: number, end: number): FeatureRows => ({
  rows: end - start,
  width,
  data: data.subarray(start * width, end * width),
});
function gaussianOf(rows: FeatureRows, weights?: number[]): Gaussian {
  const gaussian = emptyGaussian(rows.width);
  addToGaussian(gaussian, rows, weights);
  return gaussian;
}

describe('streaming means and covariances', () => {
  test('do not depend on how the rows were chunked, nor on the parts being counted separately', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 30 }), (a, b) => {
        const rows = rowsOf(1, 30, 4, 1000);
        const [first, second] = [Math.min(a, b), Math.max(a, b)];
        const pieces = gaussianOf(slice(rows, 0, first));
        addToGaussian(pieces, slice(rows, first, second));
        absorb(pieces, gaussianOf(slice(rows, second, 30)));
        const whole = gaussianOf(rows);
        expect(pieces.count).toBe(30);
        expect(pieces.mean).toBeAllClose(whole.mean, { rtol: 1e-14 });
        expect(pieces.scatter).toBeAllClose(whole.scatter, { rtol: 1e-11 });
      }),
      { numRuns: 25 },
    );
  });

  test('a large common offset costs no digits', () => {
    // Both are exact in float32: multiples of 1/256 below 8192.
    const data = Float32Array.from(rowsOf(2, 50, 3).data, value => Math.round(value * 256) / 256);
    const plain = gaussianOf({ rows: 50, width: 3, data });
    const far = gaussianOf({ rows: 50, width: 3, data: data.map(value => value + 4096) });
    expect(far.scatter).toBeAllClose(plain.scatter, { rtol: 1e-9 });
  });

  test('a row that counts twice is a row given twice', () => {
    const rows = rowsOf(3, 4, 3);
    const twice = gaussianOf(rows, [1, 2, 0, 1]);
    const given = gaussianOf({
      rows: 4,
      width: 3,
      data: Float32Array.from([0, 1, 1, 3].flatMap(row => [...slice(rows, row, row + 1).data])),
    });
    expect(twice.scatter).toBeAllClose(given.scatter, { rtol: 1e-12 });
    expect(twice.count).toBe(4);
  });

  test('one image, or features that are not finite, are refused', () => {
    expect(() => momentsOf(gaussianOf(rowsOf(1, 1, 3)))).toThrow(/at least 2 images, 1 were given/);
    const holed = rowsOf(1, 5, 3);
    holed.data[4] = NaN;
    expect(() => momentsOf(gaussianOf(holed))).toThrow(/NaN or infinity/);
  });
});

describe('the Fréchet distance', () => {
  const diagonal = (values: number[]): Float64Array =>
    Float64Array.from({ length: values.length ** 2 }, (_, i) =>
      i % (values.length + 1) === 0 ? values[i / (values.length + 1)] : 0,
    );

  test('of diagonal Gaussians is Σ (μ₁ − μ₂)² + (σ₁ − σ₂)², singular ones included', () => {
    const a = { mean: Float64Array.of(0, 1, 2), covariance: diagonal([4, 0, 1]) };
    const b = { mean: Float64Array.of(3, 1, 2), covariance: diagonal([1, 9, 1]) };
    expect(frechetDistance(a, b)).toBeCloseTo(9 + 1 + 9, 12);
  });

  test('is symmetric, zero for a set and itself, and the same with fewer rows than columns', () => {
    const [a, b] = [momentsOf(gaussianOf(rowsOf(4, 9, 20))), momentsOf(gaussianOf(rowsOf(5, 12, 20, 0.3)))];
    expect(frechetDistance(a, b)).toBeCloseTo(frechetDistance(b, a), 6);
    expect(frechetDistance(a, a)).toBeLessThan(1e-5);
  });

  test('features of different widths are refused', () => {
    const [a, b] = [momentsOf(gaussianOf(rowsOf(1, 9, 3))), momentsOf(gaussianOf(rowsOf(1, 9, 4)))];
    expect(() => frechetDistance(a, b)).toThrow(/4 numbers .* 3/);
  });
});

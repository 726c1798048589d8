import { beforeAll, describe, expect, test } from '@jest/globals';
import { cholesky, eigh, NotPositiveDefiniteError, RandomStream, startEngine, tf } from '../../src/engine/index.js';
import { availableAlgebras } from '../../src/engine/linalg/choice.js';
import type { LinearAlgebra } from '../../src/engine/linalg/solver.js';
import { javascriptAlgebra } from '../../src/engine/linalg/javascript.js';

beforeAll(async () => {
  await startEngine();
});

const SIZES = [1, 2, 31, 32, 33, 70];
const random = new RandomStream(3);

const normals = (name: string, count: number): Float64Array => Float64Array.from(random.for(name).normals(count));

/** X Xᵀ / n + I, by plain loops in double precision. */
function positiveDefinite(n: number): Float64Array {
  const x = normals(`spd${n}`, n * n);
  const a = javascriptAlgebra.matMul(x, x, { m: n, k: n, n, transposeB: true });
  return a.map((value, i) => value / n + (i % (n + 1) === 0 ? 1 : 0));
}

/** Every solver on this machine; asked for within a test, when the engine runs. */
function eachAlgebra(check: (algebra: LinearAlgebra) => void): void {
  for (const algebra of availableAlgebras()) check(algebra);
}

describe('linear algebra in float64', () => {
  test.each(SIZES)('eigenvectors are orthonormal and rebuild the matrix, values ascend (n = %d)', n => {
    const a = positiveDefinite(n);
    eachAlgebra(({ eigh, eigenvalues, matMul }) => {
      const { values, vectors } = eigh(a, n);
      expect(eigenvalues(a, n)).toBeAllClose(values, { rtol: 1e-12 });
      expect(values).toEqual(values.slice().sort((x, y) => x - y));
      const gram = matMul(vectors, vectors, { m: n, k: n, n, transposeA: true });
      expect(gram).toBeAllClose(
        gram.map((_, i) => (i % (n + 1) === 0 ? 1 : 0)),
        { rtol: 1e-12 },
      );
      const scaled = vectors.map((value, i) => value * values[i % n]);
      expect(matMul(scaled, vectors, { m: n, k: n, n, transposeB: true })).toBeAllClose(a, { rtol: 1e-12 });
    });
  });

  test.each([
    ['few rows', 1],
    ['few rows of large numbers', 1e100],
    ['few rows of small numbers', 1e-100],
    ['nothing', 0],
  ])('a matrix of %s has as many values above zero as it has rank', (_, scale) => {
    const [n, rank] = [200, 11];
    const x = normals('deficient', rank * n).map(value => value * scale);
    eachAlgebra(({ eigh, eigenvalues, matMul }) => {
      const a = matMul(x, x, { m: n, k: rank, n, transposeA: true });
      const { values, vectors } = eigh(a, n);
      const rounding = 1e-12 * values[n - 1];
      for (const found of [values, eigenvalues(a, n)])
        expect(found.filter(value => Math.abs(value) > rounding)).toHaveLength(scale === 0 ? 0 : rank);
      expect(matMul(vectors, vectors, { m: n, k: n, n, transposeA: true })[n + 1]).toBeCloseTo(1, 12);
    });
  });

  test.each(SIZES)('the Cholesky factor is lower and its product is the matrix (n = %d)', n => {
    const a = positiveDefinite(n);
    eachAlgebra(({ cholesky, matMul }) => {
      const l = cholesky(a, n);
      expect(l.every((value, i) => i % n <= Math.floor(i / n) || value === 0)).toBe(true);
      expect(matMul(l, l, { m: n, k: n, n, transposeB: true })).toBeAllClose(a, { rtol: 1e-12 });
    });
  });

  test.each([
    [1, 1],
    [5, 3],
    [33, 8],
    [8, 33],
  ])('a triangular solve undoes the product (n = %d, m = %d)', (n, m) => {
    const l = javascriptAlgebra.cholesky(positiveDefinite(n), n);
    const x = normals('x', n * m);
    const b = javascriptAlgebra.matMul(l, x, { m: n, k: n, n: m });
    eachAlgebra(({ triangularSolve }) => expect(triangularSolve(l, b, n, m)).toBeAllClose(x, { rtol: 1e-11 }));
  });

  test.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])('products with transposes agree with sums by hand (%s, %s)', (transposeA, transposeB) => {
    const [m, k, n] = [4, 7, 3];
    const a = normals('a', m * k);
    const b = normals('b', k * n);
    const byHand = new Float64Array(m * n);
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++)
        for (let p = 0; p < k; p++)
          byHand[i * n + j] += a[transposeA ? p * m + i : i * k + p] * b[transposeB ? j * k + p : p * n + j];
    eachAlgebra(({ matMul }) =>
      expect(matMul(a, b, { m, k, n, transposeA, transposeB })).toBeAllClose(byHand, { rtol: 1e-14 }),
    );
  });

  test('keeps all 53 bits: a difference of 1e-12 survives', () => {
    eachAlgebra(({ eigh }) =>
      expect(eigh(Float64Array.of(1, 0, 0, 1 + 1e-12), 2).values[1] - 1).toBeCloseTo(1e-12, 15),
    );
  });

  test('a matrix that is not positive definite is refused by name, by each solver', () => {
    eachAlgebra(({ cholesky }) => {
      expect(() => cholesky(Float64Array.of(1, 2, 2, 1), 2)).toThrow(NotPositiveDefiniteError);
      expect(() => cholesky(Float64Array.of(NaN, 0, 0, 1), 2)).toThrow(NotPositiveDefiniteError);
    });
  });

  test('a matrix with NaN is refused before any solver loops on it', () => {
    expect(() => eigh(Float64Array.of(1, NaN, NaN, 1), 2)).toThrow('NaN');
  });

  test('inputs are left as they are and no tensor stays behind', () => {
    const a = positiveDefinite(6);
    const copy = a.slice();
    const before = tf.memory().numTensors;
    eigh(a, 6);
    cholesky(a, 6);
    expect(a).toEqual(copy);
    expect(tf.memory().numTensors).toBe(before);
  });
});

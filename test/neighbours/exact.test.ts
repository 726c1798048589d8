import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { hasKernels, nearestRows, startEngine, tf } from '../../src/engine/index.js';
import { withoutKernels } from '../../src/engine/compiled.js';
import { UNITS } from '../../src/engine/kernels.js';
import { mostSimilar, mostSimilarAmong, nearestNeighbours } from '../../src/neighbours/index.js';
import { asRanks } from '../helpers/ranks.js';
beforeAll(async () => {
  await startEngine();
});

const [rows, width, k] = [150, 5, 7];
const data = new RandomNumbers(1).normals(rows * width).map(v => v + 100);

function distances(row: number): number[] {
  return Array.from({ length: rows }, (_, other) =>
    Math.hypot(...Array.from({ length: width }, (_, j) => data[row * width + j] - data[other * width + j])),
  );
}

describe('nearest neighbours', () => {
  it('are those of brute force, with their distances, in spite of a common offset', async () => {
    const before = tf.memory().numTensors;
    const found = await nearestNeighbours(data, rows, width, k);
    for (let row = 0; row < rows; row++) {
      const all = distances(row);
      const expected = all
        .map((d, other) => ({ d, other }))
        .filter(({ other }) => other !== row)
        .sort((a, b) => a.d - b.d);
      expect([...found.rows.subarray(row * k, (row + 1) * k)]).toEqual(expected.slice(0, k).map(({ other }) => other));
      expect(found.values.subarray(row * k, (row + 1) * k)).toBeAllClose(
        expected.slice(0, k).map(({ d }) => d),
        { rtol: 1e-5 },
      );
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  it('are those of brute force among blocks of rows, many of them twins', async () => {
    // More than one block, no whole number of groups; the second half repeats rows of the first.
    const [many, half] = [2500, 1250];
    const first = new RandomNumbers(4).normals(half * width);
    const twins = Float32Array.from({ length: many * width }, (_, i) => first[i % first.length] + 3);
    const found = await nearestNeighbours(twins, many, width, k);
    for (let row = 0; row < many; row += 97) {
      const squares = Array.from({ length: many }, (_, other) => {
        let sum = 0;
        for (let j = 0; j < width; j++) sum += (twins[row * width + j] - twins[other * width + j]) ** 2;
        return sum;
      });
      squares[row] = Infinity;
      const expected = squares.toSorted((a, b) => a - b).slice(0, k);
      expect(found.values[row * k]).toBe(0);
      expect(found.rows[row * k]).toBe((row + half) % many);
      expect(found.values.subarray(row * k, (row + 1) * k)).toBeAllClose(expected.map(Math.sqrt), { rtol: 1e-5 });
    }
    const same = await nearestNeighbours(new Float32Array(2000).fill(5), 1000, 2, 3);
    expect(Array.from(same.values)).toEqual(new Array(3000).fill(0));
    expect(new Set(same.rows.subarray(0, 3)).size).toBe(3);
  });

  it.each(Object.keys(UNITS) as (keyof typeof UNITS)[])(
    'are the same by %s and by the engine’s products',
    async units => {
      if (!hasKernels()) return;
      // Far from the origin, no whole number of blocks or tiles, tight groups, and rows of very different sizes.
      const [many, wide] = [1101, 37];
      const random = new RandomNumbers(6);
      const centres = random.for('centres').normals(9 * wide);
      const x = random
        .for('noise')
        .normals(many * wide)
        .map((v, i) => 50 + centres[(Math.floor(i / wide) % 9) * wide + (i % wide)] + v * 10 ** -(i % 5));
      x.fill(1e4, 5 * wide, 6 * wide);
      const products = await withoutKernels(() => nearestNeighbours(x, many, wide, k));
      const points = tf.tensor2d(x, [many, wide]);
      const found = nearestRows(points, { first: 3, last: many - 1, neighbours: k, units });
      expect(found[0].dataSync()).toEqual(products.rows.slice(3 * k, (many - 1) * k));
      expect(found[1].dataSync()).toBeAllClose(products.values.slice(3 * k, (many - 1) * k), { rtol: 1e-6 });
      tf.dispose([points, found]);
    },
  );

  it('are at most all other rows', async () => {
    const { k: found } = await nearestNeighbours(data.slice(0, 3 * width), 3, width, 10);
    expect(found).toBe(2);
  });
});

it('the most similar rows are the same however the rows are cut into blocks', async () => {
  const x = tf.tensor2d(data, [rows, width]);
  const cut = (...starts: number[]) =>
    starts.map((start, i) => ({ start, x: tf.slice2d(x, [start, 0], [(starts[i + 1] ?? rows) - start, -1]) }));
  const queries = tf.slice2d(x, [0, 0], [20, -1]);
  const whole = await mostSimilar(queries, cut(0), k);
  const parts = await mostSimilar(queries, cut(0, 3, 100), k);
  expect(parts.rows).toEqual(whole.rows);
  expect(parts.values).toBeAllClose(whole.values, { rtol: 1e-6 });
});

it('among many rows, where groups are looked at first, they are those of brute force too', async () => {
  // Not a multiple of the groups' size; products are negative, so zeros that fill the last group up stand above all.
  const [many, few, wanted] = [2117, 40, 3];
  const x = new RandomNumbers(2).uniforms(many * 4).map(v => v + 0.1);
  const q = new RandomNumbers(3).uniforms(few * 4).map(v => -v - 0.1);
  const [points, queries] = [tf.tensor2d(x, [many, 4]), tf.tensor2d(q, [few, 4])];
  const before = tf.memory().numTensors;
  const found = await mostSimilar(queries, [{ x: points, start: 10 }], wanted);
  expect(tf.memory().numTensors).toBe(before);
  for (let query = 0; query < few; query++) {
    const product = (row: number): number =>
      [0, 1, 2, 3].reduce((sum, j) => sum + q[query * 4 + j] * x[row * 4 + j], 0);
    const order = Array.from({ length: many }, (_, row) => row).sort((a, b) => product(b) - product(a));
    const own = found.rows.subarray(query * wanted, (query + 1) * wanted);
    expect([...own].map(row => row - 10)).toEqual(order.slice(0, wanted));
    expect(found.values.subarray(query * wanted, (query + 1) * wanted)).toBeAllClose(
      order.slice(0, wanted).map(product),
      { rtol: 1e-5 },
    );
  }
});

describe.each([2, 3, 4])('%i ranks', size => {
  it.each([
    ['several blocks of rows', 4200],
    ['one block', 150],
    ['fewer rows than ranks', 3],
  ])('find the neighbours that one process finds: %s', async (_, many) => {
    const x = new RandomNumbers(many).normals(many * width);
    // Twins, whose order is settled too.
    x.copyWithin(0, width, 2 * width);
    const one = await nearestNeighbours(x, many, width, k);
    const before = tf.memory().numTensors;
    const found = await asRanks(size, communicator => nearestNeighbours(x, many, width, k, communicator));
    expect(tf.memory().numTensors).toBe(before);
    for (const own of found) expect(own).toEqual(one);
  });

  it('find the rows most similar to each other, and so does a rank that has none of them', async () => {
    for (const many of [150, 3]) {
      const x = tf.tensor2d(data.slice(0, many * width), [many, width]);
      const one = await mostSimilarAmong(x, k);
      const found = await asRanks(size, communicator => mostSimilarAmong(x, k, communicator));
      for (const own of found) {
        expect(own.rows).toEqual(one.rows);
        expect(own.values).toBeAllClose(one.values, { rtol: 1e-6 });
      }
      x.dispose();
    }
  });
});

import { beforeAll, describe, expect, it } from '@jest/globals';
import { UMAP } from 'umap-js';
import { RandomNumbers } from '../../src/base/index.js';
import { startEngine } from '../../src/engine/index.js';
import { nearestNeighbours, type Neighbours } from '../../src/neighbours/index.js';
import { embeddingQuality, tsne, umap } from '../../src/umap/index.js';
import { tabulated } from '../../src/umap/force.js';

const random = new RandomNumbers(2);
const [ROWS, WIDTH, CLUSTERS] = [240, 10, 4];
const cluster = random.for('cluster').integers(ROWS, CLUSTERS);
const centres = random.for('centres').normals(CLUSTERS * WIDTH);
const data = random
  .for('rows')
  .normals(ROWS * WIDTH)
  .map((z, at) => 0.4 * z + 3 * centres[cluster[Math.floor(at / WIDTH)] * WIDTH + (at % WIDTH)]);
/** Two of the ten numbers, in place of principal components. */
const start = Float32Array.from({ length: 2 * ROWS }, (_, at) => data[Math.floor(at / 2) * WIDTH + (at % 2)]);

let neighbours: Neighbours;
beforeAll(async () => {
  await startEngine();
  neighbours = await nearestNeighbours(data, ROWS, WIDTH, 45);
});

/** Mean distance to rows of the same cluster over that to others. */
function spread(points: Float32Array): number {
  const [sums, counts] = [
    [0, 0],
    [0, 0],
  ];
  for (let i = 0; i < ROWS; i++)
    for (let j = 0; j < i; j++) {
      const other = cluster[i] === cluster[j] ? 0 : 1;
      sums[other] += Math.hypot(points[2 * i] - points[2 * j], points[2 * i + 1] - points[2 * j + 1]);
      counts[other]++;
    }
  return sums[0] / counts[0] / (sums[1] / counts[1]);
}

const LAYOUTS = {
  umap: (seed: number, epochs = 100) => umap(first(14), start, { epochs, random: new RandomNumbers(seed) }),
  tsne: (seed: number) => tsne(neighbours, start, { perplexity: 15, iterations: 400, random: new RandomNumbers(seed) }),
};

function first(k: number): Neighbours {
  const kept = (_: number, at: number): boolean => at % neighbours.k < k;
  return { k, rows: neighbours.rows.filter(kept), values: neighbours.values.filter(kept) };
}

describe.each(['umap', 'tsne'] as const)('%s', method => {
  it('keeps clusters together and apart, and neighbourhoods', async () => {
    const points = await LAYOUTS[method](0);
    expect(spread(points)).toBeLessThan(0.3);
    const { trustworthiness } = await embeddingQuality(data, points, { k: 10, queries: ROWS, random });
    const flat = await embeddingQuality(data, start, { k: 10, queries: ROWS, random });
    expect(trustworthiness).toBeGreaterThan(0.9);
    expect(trustworthiness).toBeGreaterThan(flat.trustworthiness);
  });

  it('draws the same again from the same seed, not from another', async () => {
    const points = await LAYOUTS[method](1, 10);
    expect(await LAYOUTS[method](1, 10)).toEqual(points);
    expect(await LAYOUTS[method](2, 10)).not.toEqual(points);
  });
});

it('UMAP keeps neighbourhoods as far as umap-js does', async () => {
  const words = random.for('umap-js').words(1 << 14);
  let next = 0;
  const theirs = new UMAP({ nNeighbors: 15, nEpochs: 100, random: () => words[next++ & 0x3fff] / 2 ** 32 });
  const points = theirs.fit(
    Array.from({ length: ROWS }, (_, i) => Array.from(data.subarray(i * WIDTH, (i + 1) * WIDTH))),
  );
  const options = { k: 10, queries: ROWS, random };
  const other = await embeddingQuality(data, Float32Array.from(points.flat()), options);
  const own = await embeddingQuality(data, await LAYOUTS.umap(0), options);
  expect(own.trustworthiness).toBeGreaterThan(other.trustworthiness - 0.01);
});

it('rows that are all alike are drawn without NaN', async () => {
  const same = await nearestNeighbours(new Float32Array(40 * 3).fill(2), 40, 3, 14);
  for (const points of [
    await umap(same, new Float32Array(80), { epochs: 20, random }),
    await tsne(same, new Float32Array(80), { perplexity: 4, iterations: 20, random }),
  ])
    expect(points.every(Number.isFinite)).toBe(true);
});

it('tabulated functions agree with the exact ones', () => {
  const f = (square: number): number => 1 / ((0.001 + square) * (1.6 * square ** 0.9 + 1));
  const fast = tabulated(f);
  for (const square of [1e-12, 1e-7, 3.3e-4, 0.0312, 0.5, 1, 1.999, 77, 1e5, 1e9])
    expect(Math.abs(fast(square) / f(square) - 1)).toBeLessThan(5e-5);
});

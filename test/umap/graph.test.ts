import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { startEngine, tf } from '../../src/engine/index.js';
import { nearestNeighbours } from '../../src/neighbours/index.js';
import { asRanks } from '../helpers/ranks.js';
import { embeddingQuality } from '../../src/umap/index.js';
import { affinities } from '../../src/umap/affinities.js';
import { fuzzyGraph, type Edges } from '../../src/umap/graph.js';
import { similarityCurve } from '../../src/umap/curve.js';

interface Golden {
  x: number[][];
  plane: number[][];
  trustworthiness: number;
  continuity: number;
  curves: [minDist: number, a: number, b: number][];
  neighbours: number;
  fuzzy: number[][];
  perplexity: number;
  joint: number[][];
}

/** Recorded by fixtures/golden/umap/record.py from scikit-learn and umap-learn. */
const golden = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../fixtures/golden/umap/measures.json', import.meta.url)), 'utf8'),
) as Golden;
const rows = golden.x.length;
const width = golden.x[0].length;
const data = Float32Array.from(golden.x.flat());
const plane = Float32Array.from(golden.plane.flat());

beforeAll(async () => {
  await startEngine();
});

function dense({ head, tail, weight }: Edges): Float64Array {
  const out = new Float64Array(rows * rows);
  head.forEach((row, at) => (out[row * rows + tail[at]] = weight[at]));
  return out;
}

describe('what umap-learn and scikit-learn compute', () => {
  it('the curve of similarity over distance', () => {
    for (const [minDist, a, b] of golden.curves) {
      const curve = similarityCurve(minDist);
      expect([curve.a, curve.b]).toBeAllClose([a, b], { rtol: 2e-4 });
    }
  });

  it('UMAP’s graph', async () => {
    const neighbours = await nearestNeighbours(data, rows, width, golden.neighbours - 1);
    expect(dense(fuzzyGraph(neighbours))).toBeAllClose(golden.fuzzy.flat(), { rtol: 1e-4 });
  });

  it('t-SNE’s affinities', async () => {
    const neighbours = await nearestNeighbours(data, rows, width, 3 * golden.perplexity);
    const edges = affinities(neighbours, golden.perplexity);
    expect(dense(edges)).toBeAllClose(golden.joint.flat(), { rtol: 1e-4 });
    expect(edges.weight.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
  });

  it('trustworthiness and continuity, without leaving tensors behind', async () => {
    const before = tf.memory().numTensors;
    const options = { k: 5, queries: rows, random: new RandomNumbers(0) };
    const { trustworthiness, continuity } = await embeddingQuality(data, plane, options);
    expect(trustworthiness).toBeCloseTo(golden.trustworthiness, 6);
    expect(continuity).toBeCloseTo(golden.continuity, 6);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('the quality of an embedding', () => {
  const random = new RandomNumbers(5);

  it('is 1 for an embedding that is the data, shifted and rotated', async () => {
    const flat = random.normals(200);
    const turned = flat.map((_, at) => (at % 2 === 0 ? 7 + flat[at + 1] : -flat[at - 1]));
    const quality = await embeddingQuality(flat, turned, { k: 6, queries: 100, random });
    expect(quality).toEqual({ trustworthiness: 1, continuity: 1 });
  });

  it('is the same counted by several ranks', async () => {
    const wide = random.normals(90 * 5);
    const points = random.for('points').normals(180);
    const options = { k: 6, queries: 50, random };
    const one = await embeddingQuality(wide, points, options);
    for (const own of await asRanks(3, communicator => embeddingQuality(wide, points, { ...options, communicator })))
      expect(own).toEqual(one);
  });

  it('of some rows is near that of all', async () => {
    const wide = random.normals(600 * 5);
    const points = Float32Array.from({ length: 1200 }, (_, at) => wide[Math.floor(at / 2) * 5 + (at % 2)]);
    const all = await embeddingQuality(wide, points, { k: 10, queries: 600, random });
    const some = await embeddingQuality(wide, points, { k: 10, queries: 200, random });
    expect(Math.abs(all.trustworthiness - some.trustworthiness)).toBeLessThan(0.02);
    expect(Math.abs(all.continuity - some.continuity)).toBeLessThan(0.02);
  });
});

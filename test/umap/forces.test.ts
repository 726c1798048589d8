import { describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { openForces } from '../../src/umap/forces.js';
import type { Edges } from '../../src/umap/graph.js';

const random = new RandomNumbers(4);
const NONE: Edges = { head: new Int32Array(0), tail: new Int32Array(0), weight: new Float32Array(0) };

/** Points of the plane, normal with this deviation; some of them on each other. */
function cloud(rows: number, deviation: number): Float32Array {
  const points = Float32Array.from(random.for(`${rows}`).normals(2 * rows), z => deviation * z);
  return points.copyWithin(20, 0, 6);
}

/** Over all pairs: Σ q, and Σ q² (y_i − y_j) of every point. */
function exact(points: Float32Array): { total: number; forces: Float64Array } {
  const forces = new Float64Array(points.length);
  let total = 0;
  for (let i = 0; i < points.length; i += 2)
    for (let j = 0; j < points.length; j += 2) {
      if (i === j) continue;
      const [dx, dy] = [points[i] - points[j], points[i + 1] - points[j + 1]];
      const q = 1 / (1 + dx * dx + dy * dy);
      total += q;
      forces[i] += q * q * dx;
      forces[i + 1] += q * q * dy;
    }
  return { total, forces };
}

/** Root mean square of the differences over that of the expected. */
function error(found: ArrayLike<number>, expected: Float64Array): number {
  const squares = (value: (i: number) => number): number => expected.reduce((sum, _, i) => sum + value(i) ** 2, 0);
  return Math.sqrt(squares(i => found[i] - expected[i]) / squares(i => expected[i]));
}

describe('repulsion on a mesh', () => {
  it('is within hundredths of the sum over all pairs, from the first steps of a layout to its last', async () => {
    const forces = await openForces(NONE, 400, 1);
    // One after the other, as points spread: transforms of 128 to 512 numbers.
    for (const [deviation, tolerance] of [
      [1e-4, 1e-4],
      [1e-2, 1e-4],
      [1, 0.01],
      [5, 0.03],
      [7, 0.03],
      [14, 0.03],
      [3, 0.03],
      [1e-3, 1e-4],
    ]) {
      const points = cloud(400, deviation);
      forces.points.set(points);
      const total = await forces.compute();
      const expected = exact(points);
      expect(Math.abs(total / expected.total - 1)).toBeLessThan(0.01);
      expect([deviation, error(forces.repulsion, expected.forces) < tolerance]).toEqual([deviation, true]);
    }
    await forces.close();
  });

  it('cancels over all points, since each pair pushes both ways', async () => {
    const forces = await openForces(NONE, 300, 1);
    forces.points.set(cloud(300, 4));
    await forces.compute();
    const sum = forces.repulsion.reduce((all, value) => all + value, 0);
    const size = forces.repulsion.reduce((all, value) => all + Math.abs(value), 0);
    expect(Math.abs(sum) / size).toBeLessThan(1e-3);
    await forces.close();
  });
});

describe('forces', () => {
  const rows = 5001;
  const edges: Edges = {
    head: Int32Array.from({ length: 3 * rows }, (_, at) => Math.floor(at / 3)),
    tail: Int32Array.from(random.for('tails').integers(3 * rows, rows)),
    weight: Float32Array.from(random.for('weights').normals(3 * rows), Math.abs),
  };
  const points = cloud(rows, 6);

  it('attract along the edges', async () => {
    const forces = await openForces(edges, rows, 1);
    forces.points.set(points);
    await forces.compute();
    const expected = new Float64Array(2 * rows);
    edges.head.forEach((head, at) => {
      const [i, j] = [2 * head, 2 * edges.tail[at]];
      const [dx, dy] = [points[i] - points[j], points[i + 1] - points[j + 1]];
      const pull = edges.weight[at] / (1 + dx * dx + dy * dy);
      expected[i] += pull * dx;
      expected[i + 1] += pull * dy;
    });
    expect(error(forces.attraction, expected)).toBeLessThan(1e-6);
    await forces.close();
  });

  it('are the same numbers on any number of threads', async () => {
    const found: unknown[] = [];
    for (const threads of [1, 2, 3]) {
      const forces = await openForces(edges, rows, threads);
      forces.points.set(points);
      found.push([await forces.compute(), forces.attraction.slice(), forces.repulsion.slice()]);
      await forces.close();
    }
    expect(found[1]).toEqual(found[0]);
    expect(found[2]).toEqual(found[0]);
  });
});

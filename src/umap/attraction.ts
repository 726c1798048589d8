import {
  add,
  constant,
  div,
  lane,
  laneSums,
  load,
  loadSplat,
  mulAdd,
  shiftLeft,
  shuffle,
  sub,
  type SimdModule,
} from '../simd/index.js';
import type { Edges } from './graph.js';

/** Addresses. */
export interface AttractionMemory {
  /** [rows, 2]; two numbers behind it may be read. */
  points: number;
  /** Of every row the addresses of its first tail and of that behind its last, [rows, 2]. */
  spans: number;
  /** In fours: the address of the other point of each edge, and the edge's weight at the same place. */
  tails: number;
  weights: number;
  /** Result, [rows, 2]. */
  attraction: number;
  threads: number;
}

/** Edges in the order of `head`, each row's filled up to a multiple of four with edges of no weight. */
export function inFours({ head, tail, weight }: Edges, rows: number) {
  const degrees = new Int32Array(rows);
  for (const row of head) degrees[row]++;
  const starts = new Int32Array(rows + 1);
  for (let row = 0; row < rows; row++) starts[row + 1] = starts[row] + 4 * Math.ceil(degrees[row] / 4);
  const tails = new Int32Array(starts[rows]);
  const weights = new Float32Array(starts[rows]);
  const next = starts.slice(0, rows);
  for (let edge = 0; edge < head.length; edge++) {
    const at = next[head[edge]]++;
    tails[at] = tail[edge];
    weights[at] = weight[edge];
  }
  return { starts, tails, weights };
}

/** Adds `attract`: Σ_j p q (y − y_j) for every point over its edges, q = 1 / (1 + |y − y_j|²). */
export function addAttraction(
  module: SimdModule,
  { points, spans, tails, weights, attraction, threads }: AttractionMemory,
): void {
  module.routine('attract', { thread: 'i32', rows: 'i32' }, undefined, (f, { thread, rows }) => {
    f.range(shiftLeft(thread, 3), shiftLeft(rows, 3), 8 * threads, row => {
      const [x, y] = [0, 4].map(offset => f.local('f32x4', loadSplat('f32x4', add(row, points), offset)));
      const [pullX, pullY] = [f.local('f32x4', 0), f.local('f32x4', 0)];
      const end = f.local('i32', load('i32', add(row, spans), 4));
      f.range(load('i32', add(row, spans)), end, 16, edge => {
        const [a, b, c, d] = [0, 4, 8, 12].map(offset => load('f32x4', load('i32', edge, offset)));
        const ab = f.local('f32x4', shuffle(a, b, [0, 4, 1, 5]));
        const cd = f.local('f32x4', shuffle(c, d, [0, 4, 1, 5]));
        const dx = f.local('f32x4', sub(x, shuffle(ab, cd, [0, 1, 4, 5])));
        const dy = f.local('f32x4', sub(y, shuffle(ab, cd, [2, 3, 6, 7])));
        const square = mulAdd(dx, dx, mulAdd(dy, dy, constant('f32x4', 1)));
        const pull = f.local('f32x4', div(load('f32x4', edge, weights - tails), square));
        f.set(pullX, mulAdd(pull, dx, pullX));
        f.set(pullY, mulAdd(pull, dy, pullY));
      });
      const sums = f.local('f32x4', laneSums(f, [pullX, pullY, pullX, pullY]));
      f.store(add(row, attraction), lane(sums, 0));
      f.store(add(row, attraction), lane(sums, 1), 4);
    });
  });
}

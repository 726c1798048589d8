import {
  add,
  allTrue,
  constant,
  greater,
  i32,
  laneSums,
  load,
  loadSplat,
  mul,
  mulAdd,
  notEqual,
  sub,
  type Local,
  type Routine,
  type SimdModule,
  type Value,
} from '../../simd/index.js';
import type { MemoryLayout } from './layout.js';

/** Arguments of a distance routine: four rows, a component's mean and factor, scratch space, and limits at which to stop. */
const PAIR = {
  row0: 'i32',
  row1: 'i32',
  row2: 'i32',
  row3: 'i32',
  mean: 'i32',
  factor: 'i32',
  centred: 'i32',
  /** A row whose partial sum is beyond its limit matters no more. */
  limit: 'f32x4',
} as const;

/** Squared Mahalanobis distances |Uᵀ(x − μ)|² of four rows, or partial sums once all four are beyond their limits. */
export function triangularDistance(m: SimdModule, { width, rowBytes }: MemoryLayout): Routine {
  return m.routine(undefined, PAIR, 'f32x4', (f, { row0, row1, row2, row3, mean, factor, centred, limit }) => {
    const rows = [row0, row1, row2, row3];
    f.range(0, rowBytes, 16, j => {
      const mu = f.local('f32x4', load('f32x4', add(mean, j)));
      const to = f.local('i32', add(centred, j));
      rows.forEach((row, r) => f.store(to, sub(load('f32x4', add(row, j)), mu), r * rowBytes));
    });
    const sums = rows.map(() => f.local('f32x4', 0));
    const u = f.local('i32', factor);
    const x = f.local('i32');
    const left = f.local('i32');
    f.range(8, width + 8, 8, outputs => {
      // Eight outputs of four rows. Six loads, eight sums: what sixteen registers hold.
      const products = rows.map(() => [f.local('f32x4', 0), f.local('f32x4', 0)]);
      f.set(x, centred);
      f.set(left, outputs);
      f.repeatWhile(notEqual(left, 0), () => {
        const columns = [f.local('f32x4', load('f32x4', u)), f.local('f32x4', load('f32x4', u, 16))];
        products.forEach((sum, r) => {
          const value = f.local('f32x4', loadSplat('f32x4', x, r * rowBytes));
          sum.forEach((_, c) => f.set(sum[c], mulAdd(value, columns[c], sum[c])));
        });
        f.set(u, add(u, 32));
        f.set(x, add(x, 4));
        f.set(left, sub(left, 1));
      });
      products.forEach(([a, b], r) => f.set(sums[r], mulAdd(b, b, mulAdd(a, a, sums[r]))));
      const partial = f.local('f32x4', laneSums(f, sums));
      f.if(allTrue(greater(partial, limit)), () => f.return(partial));
    });
    f.return(laneSums(f, sums));
  });
}

/** Distances for independent dimensions: Σ ((x − μ) / σ)², where the factor holds 1/σ. */
export function diagonalDistance(m: SimdModule, { rowBytes }: MemoryLayout): Routine {
  return m.routine(undefined, PAIR, 'f32x4', (f, { row0, row1, row2, row3, mean, factor }) => {
    const sums: Local<'f32x4'>[] = [];
    const rows = [row0, row1, row2, row3];
    rows.forEach(() => sums.push(f.local('f32x4', constant('f32x4', 0))));
    f.range(i32(0), rowBytes, 16, j => {
      const mu = f.local('f32x4', load('f32x4', add(mean, j)));
      const scale = f.local('f32x4', load('f32x4', add(factor, j)));
      rows.forEach((row, r) => {
        const z: Value<'f32x4'> = mul(sub(load('f32x4', add(row, j)), mu), scale);
        const kept = f.local('f32x4', z);
        f.set(sums[r], mulAdd(kept, kept, sums[r]));
      });
    });
    f.return(laneSums(f, sums));
  });
}

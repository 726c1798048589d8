import {
  add,
  and,
  equal,
  greater,
  i32,
  load,
  loadSplat,
  mul,
  mulAdd,
  notEqual,
  shiftLeft,
  SimdModule,
  sub,
  transposed,
  type Body,
  type Local,
  type Routine,
  type Value,
} from '../simd/index.js';

/*
 * Matrix products in the memory of TensorFlow.js's WebAssembly backend, for any order of axes and any batch. Both
 * operands are packed first, so that one tile of the result reads them front to back (Goto & van de Geijn 2008).
 */

/** Rows and columns of one tile of the result: eight vectors of sums. */
const ROWS = 4;
const COLUMNS = 8;

/** Numbers summed before they join the total: rounding errors grow with the run, not with the whole depth. */
const RUN = 256;

const NAMES = [
  ...(['a', 'b', 'c', 'm', 'n', 'k', 'batch', 'scratch'] as const),
  ...(['aRow', 'aDepth', 'aBatch', 'bColumn', 'bDepth', 'bBatch'] as const),
] as const;
type Name = (typeof NAMES)[number];

/**
 * `batch` products of a [m, k] and b [k, n]. Operands, the result and the scratch are addresses; what leads from one row,
 * one k, one matrix to the next is in bytes, 0 where all products share one operand.
 */
export type Product = Record<Name, number>;

const upTo = (size: number, whole: number): number => Math.ceil(size / whole) * whole;

/** Bytes that a product needs besides its operands: both packed, and a tile. */
export const scratchBytes = ({ m, n, k }: Pick<Product, 'm' | 'n' | 'k'>): number =>
  4 * (k * (upTo(m, ROWS) + upTo(n, COLUMNS)) + ROWS * COLUMNS) + 16;

/** c = a b for every matrix of the batch, c row by row. */
export function openProduct(memory: WebAssembly.Memory): (product: Product) => void {
  const module = new WebAssembly.Module(productModule());
  const { exports } = new WebAssembly.Instance(module, { env: { memory, log: Math.log } });
  const multiply = exports.multiply as (...parameters: number[]) => void;
  return product => multiply(...parametersOf(product));
}

/** What the export `multiply` takes. */
export const parametersOf = (product: Product): number[] => NAMES.map(name => product[name]);

/** With `pages`, for a memory of so many that threads share. */
export function productModule(pages?: number): Uint8Array<ArrayBuffer> {
  const m = new SimdModule(pages);
  const [packRows, packColumns, tile] = [packRoutine(m, ROWS), packRoutine(m, COLUMNS), tileRoutine(m)];
  const parameters = Object.fromEntries(NAMES.map(name => [name, 'i32'])) as Record<Name, 'i32'>;
  m.routine('multiply', parameters, undefined, (f, p) => {
    const rows = f.local('i32', whole(p.m, ROWS));
    const edge = f.local('i32', whole(p.scratch, 16));
    const packedA = f.local('i32', add(edge, 4 * ROWS * COLUMNS));
    const packedB = f.local('i32', add(packedA, shiftLeft(mul(rows, p.k), 2)));
    f.range(0, p.batch, 1, () => {
      f.call(packRows, p.a, packedA, p.m, p.k, p.aRow, p.aDepth);
      f.call(packColumns, p.b, packedB, p.n, p.k, p.bColumn, p.bDepth);
      f.range(0, p.n, COLUMNS, j => {
        f.range(0, p.m, ROWS, i => {
          const a = add(packedA, shiftLeft(mul(i, p.k), 2));
          const b = add(packedB, shiftLeft(mul(j, p.k), 2));
          const c = add(p.c, shiftLeft(add(mul(i, p.n), j), 2));
          f.call(tile, a, b, c, sub(p.m, i), sub(p.n, j), p.k, shiftLeft(p.n, 2), edge);
        });
      });
      f.set(p.a, add(p.a, p.aBatch));
      f.set(p.b, add(p.b, p.bBatch));
      f.set(p.c, add(p.c, shiftLeft(mul(p.m, p.n), 2)));
    });
  });
  return m.bytes();
}

type I = Value<'i32'>;

/** The next multiple of a power of two. */
const whole = (x: I, size: number): I => and(add(x, size - 1), -size);

/**
 * [count, depth] with steps of `step` and `deep` bytes → [groups][depth][group], groups of rows. Beyond the last row
 * there is the last row again: what it makes of the result is not kept.
 */
function packRoutine(m: SimdModule, group: number): Routine {
  const parameters = { from: 'i32', to: 'i32', count: 'i32', depth: 'i32', step: 'i32', deep: 'i32' } as const;
  return m.routine(undefined, parameters, undefined, (f, { from, to, count, depth, step, deep }) => {
    const left = f.local('i32');
    const rows = Array.from({ length: group }, () => f.local('i32'));
    f.range(0, count, group, first => {
      const valid = f.local('i32', sub(count, first));
      f.set(left, depth);
      f.set(rows[0], add(from, mul(first, step)));
      const side = { rows, to, left, deep };
      f.if(
        and(greater(valid, group - 1), equal(step, 4)),
        () => copyVectors(f, side),
        () => {
          rows.slice(1).forEach((row, i) => f.set(row, add(rows[i], mul(greater(valid, i + 1), step))));
          f.if(equal(deep, 4), () => copySquares(f, side));
          copyNumbers(f, side);
        },
      );
    });
  });
}

interface Side {
  rows: Local<'i32'>[];
  to: Local<'i32'>;
  /** Depth that is still to copy. */
  left: Local<'i32'>;
  deep: Local<'i32'>;
}

/** Rows lie side by side: whole vectors. */
function copyVectors(f: Body, { rows: [row, ...rest], to, left, deep }: Side): void {
  f.while(notEqual(left, 0), () => {
    for (let at = 0; at < 4 * (rest.length + 1); at += 16) f.store(to, load('f32x4', row, at), at);
    f.set(row, add(row, deep));
    f.set(to, add(to, 4 * (rest.length + 1)));
    f.set(left, sub(left, 1));
  });
}

/** The depth lies side by side: squares of four by four are transposed. */
function copySquares(f: Body, { rows, to, left }: Side): void {
  const stride = 4 * rows.length;
  f.while(greater(left, 3), () => {
    for (let first = 0; first < rows.length; first += 4) {
      const square = rows.slice(first, first + 4).map(row => f.local('f32x4', load('f32x4', row)));
      transposed(f, square).forEach((column, i) => f.store(to, column, 4 * first + i * stride));
    }
    rows.forEach(row => f.set(row, add(row, 16)));
    f.set(to, add(to, 4 * stride));
    f.set(left, sub(left, 4));
  });
}

function copyNumbers(f: Body, { rows, to, left, deep }: Side): void {
  f.while(notEqual(left, 0), () => {
    rows.forEach((row, i) => {
      f.store(to, load('f32', row), 4 * i);
      f.set(row, add(row, deep));
    });
    f.set(to, add(to, 4 * rows.length));
    f.set(left, sub(left, 1));
  });
}

/** One tile of the result from packed rows and columns; at the edges only what is inside is stored. */
function tileRoutine(m: SimdModule): Routine {
  const parameters = {
    ...({ a: 'i32', b: 'i32', c: 'i32', rows: 'i32', columns: 'i32', depth: 'i32' } as const),
    ...({ rowBytes: 'i32', edge: 'i32' } as const),
  };
  return m.routine(undefined, parameters, undefined, (f, { a, b, c, rows, columns, depth, rowBytes, edge }) => {
    const zeros = (): Local<'f32x4'>[][] =>
      Array.from({ length: ROWS }, () => [f.local('f32x4', 0), f.local('f32x4', 0)]);
    const [totals, sums] = [zeros(), zeros()];
    const end = f.local('i32');
    f.repeatWhile(notEqual(depth, 0), () => {
      f.set(end, i32(0));
      f.if(greater(depth, RUN), () => f.set(end, sub(depth, RUN)));
      f.repeatWhile(notEqual(depth, end), () => {
        const vectors = [0, 16].map(at => f.local('f32x4', load('f32x4', b, at)));
        sums.forEach((row, r) => {
          const value = f.local('f32x4', loadSplat('f32x4', a, 4 * r));
          row.forEach((sum, v) => f.set(sum, mulAdd(value, vectors[v], sum)));
        });
        f.set(a, add(a, 4 * ROWS));
        f.set(b, add(b, 4 * COLUMNS));
        f.set(depth, sub(depth, 1));
      });
      sums.forEach((row, r) =>
        row.forEach((sum, v) => {
          f.set(totals[r][v], add(totals[r][v], sum));
          f.set(sum, 0);
        }),
      );
    });
    f.if(
      and(greater(rows, ROWS - 1), greater(columns, COLUMNS - 1)),
      () =>
        totals.forEach(row => {
          row.forEach((sum, v) => f.store(c, sum, 16 * v));
          f.set(c, add(c, rowBytes));
        }),
      () => {
        totals.forEach((row, r) => row.forEach((sum, v) => f.store(edge, sum, 4 * COLUMNS * r + 16 * v)));
        f.if(greater(rows, ROWS), () => f.set(rows, i32(ROWS)));
        f.if(greater(columns, COLUMNS), () => f.set(columns, i32(COLUMNS)));
        f.range(0, rows, 1, r => {
          f.range(0, columns, 1, j => {
            const at = shiftLeft(j, 2);
            f.store(add(add(c, mul(r, rowBytes)), at), load('f32', add(add(edge, mul(r, 4 * COLUMNS)), at)));
          });
        });
      },
    );
  });
}

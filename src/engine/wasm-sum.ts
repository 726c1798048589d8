import {
  add,
  and,
  atLeast,
  demote,
  demoteToLow,
  div,
  i32,
  lane,
  load,
  mul,
  notEqual,
  promote,
  promoteLow,
  shiftLeft,
  shuffle,
  SimdModule,
  splat,
  type Body,
  type Local,
  type Value,
} from '../simd/index.js';

/*
 * Sums in the memory of TensorFlow.js's WebAssembly backend, added up in double precision: a single float32 total stops
 * growing as it should after some ten thousand numbers.
 */

/** x [outer, inner, after] at the address `from` → [outer, after] at `to`, each sum over `inner` over `divisor`. */
export interface Sum {
  from: number;
  to: number;
  outer: number;
  inner: number;
  after: number;
  divisor: number;
}

const PARAMETERS = { from: 'i32', to: 'i32', outer: 'i32', inner: 'i32', after: 'i32', divisor: 'f64' } as const;
const NAMES = Object.keys(PARAMETERS) as (keyof Sum)[];

export function openSum(memory: WebAssembly.Memory): (sum: Sum) => void {
  const m = new SimdModule();
  m.routine('sum', PARAMETERS, undefined, (f, { from, to, outer, inner, after, divisor }) => {
    const stride = f.local('i32', shiftLeft(after, 2));
    f.if(
      notEqual(after, 1),
      () => f.range(0, outer, 1, () => sumColumns(f, { from, to, inner, after, stride, divisor })),
      () => f.range(0, outer, 1, () => sumRow(f, { from, to, inner, divisor })),
    );
  });
  const module = new WebAssembly.Module(m.bytes());
  const { exports } = new WebAssembly.Instance(module, { env: { memory, log: Math.log } });
  const routine = exports.sum as (...parameters: number[]) => void;
  return sum => routine(...NAMES.map(name => sum[name]));
}

type Pointer = Local<'i32'>;

/** The numbers from `from` on lie side by side; both pointers are left behind what was read and written. */
function sumRow(
  f: Body,
  { from, to, inner, divisor }: { from: Pointer; to: Pointer; inner: Pointer; divisor: Local<'f64'> },
): void {
  const sums = doubles(f, 4);
  const whole = f.local('i32', add(from, shiftLeft(and(inner, -8), 2)));
  const end = f.local('i32', add(from, shiftLeft(inner, 2)));
  f.while(notEqual(from, whole), () => {
    addVectors(f, sums, from);
    f.set(from, add(from, 32));
  });
  const pairs = add(add(sums[0], sums[1]), add(sums[2], sums[3]));
  const vector = f.local('f64x2', pairs);
  const total = f.local('f64', add(lane(vector, 0), lane(vector, 1)));
  f.while(notEqual(from, end), () => {
    f.set(total, add(total, promote(load('f32', from))));
    f.set(from, add(from, 4));
  });
  f.store(to, demote(div(total, divisor)));
  f.set(to, add(to, 4));
}

interface Columns {
  from: Pointer;
  to: Pointer;
  inner: Pointer;
  after: Pointer;
  /** Bytes from row to row. */
  stride: Pointer;
  divisor: Local<'f64'>;
}

/** Sixteen columns at a time, a cache line of each row, then four, then one. */
function sumColumns(f: Body, { from, to, inner, after, stride, divisor }: Columns): void {
  const column = f.local('i32', i32(0));
  const at = f.local('i32');
  const down = (statements: () => void): void => {
    f.set(at, add(from, shiftLeft(column, 2)));
    f.range(0, inner, 1, () => {
      statements();
      f.set(at, add(at, stride));
    });
  };
  const target = add(to, shiftLeft(column, 2));
  for (const width of [16, 4])
    f.while(atLeast(after, add(column, width)), () => {
      const sums = doubles(f, width / 2);
      down(() => addVectors(f, sums, at));
      for (let i = 0; i < width / 4; i++) f.store(target, quotients(sums[2 * i], sums[2 * i + 1], divisor), 16 * i);
      f.set(column, add(column, width));
    });
  f.while(notEqual(column, after), () => {
    const sum = f.local('f64', 0);
    down(() => f.set(sum, add(sum, promote(load('f32', at)))));
    f.store(target, demote(div(sum, divisor)));
    f.set(column, add(column, 1));
  });
  f.set(from, add(from, mul(inner, stride)));
  f.set(to, add(to, stride));
}

const doubles = (f: Body, count: number): Local<'f64x2'>[] => Array.from({ length: count }, () => f.local('f64x2', 0));

/** Adds the numbers at `address`, two to each sum. */
function addVectors(f: Body, sums: Local<'f64x2'>[], address: Value<'i32'>): void {
  for (let i = 0; i < sums.length; i += 2) {
    const vector = f.local('f32x4', load('f32x4', address, 8 * i));
    f.set(sums[i], add(sums[i], promoteLow(vector)));
    f.set(sums[i + 1], add(sums[i + 1], promoteLow(shuffle(vector, vector, [2, 3, 2, 3]))));
  }
}

const quotients = (low: Value<'f64x2'>, high: Value<'f64x2'>, divisor: Value<'f64'>): Value<'f32x4'> => {
  const [a, b] = [low, high].map(sums => demoteToLow(div(sums, splat('f64x2', divisor))));
  return shuffle(a, b, [0, 1, 4, 5]);
};

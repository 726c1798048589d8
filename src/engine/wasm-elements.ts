import {
  add,
  div,
  exp,
  greater,
  lane,
  less,
  lift,
  load,
  loadSplat,
  max,
  min,
  mul,
  notEqual,
  promoteLow,
  select,
  shuffle,
  SimdModule,
  splat,
  sqrt,
  sub,
  type Body,
  type Local,
  type Value,
} from '../simd/index.js';

/*
 * Loops over all numbers of tensors in the memory of TensorFlow.js's WebAssembly backend: functions that it calls a scalar
 * library for, number by number, and updates that take it a dozen passes and as many copies.
 */

type Pointer = Local<'i32'>;
type Vector = Value<'f32x4'>;

/** What is done to the `count` numbers at each address. */
export interface Elements {
  erf: ElementFunction;
  exp: ElementFunction;
  sigmoid: ElementFunction;
  /** Σ x², in double precision. */
  squares: (x: number, count: number) => number;
  /** x ← x + share (target − x). */
  move: (x: number, target: number, count: number, share: number) => void;
  /** SGD with momentum of one row, in place, with factors for each column. */
  momentum: (
    p: number,
    v: number,
    gradient: number,
    rate: number,
    scale: number,
    count: number,
    momentum: number,
  ) => void;
  /** AdamW in place; the scalars as `updates.ts` has them. */
  adam: (p: number, m: number, v: number, gradient: number, count: number, ...scalars: number[]) => void;
}

export type ElementFunction = (from: number, to: number, count: number) => void;

export function openElements(memory: WebAssembly.Memory): Elements {
  const m = new SimdModule();
  for (const [name, value] of Object.entries(FUNCTIONS))
    m.routine(name, { from: 'i32', to: 'i32', count: 'i32' }, undefined, (f, { from, to, count }) =>
      overAll(f, [from, to], count, ({ read, write }) => write(to, value(f, f.local('f32x4', read(from))))),
    );
  addUpdates(m);
  const module = new WebAssembly.Module(m.bytes());
  return new WebAssembly.Instance(module, { env: { memory, log: Math.log } }).exports as unknown as Elements;
}

interface Access {
  read: (at: Pointer) => Vector;
  write: (at: Pointer, value: Vector) => void;
}

/** `statements` for four numbers at a time, and for those that are left one by one, in every lane; pointers move on. */
function overAll(f: Body, pointers: Pointer[], count: Pointer, statements: (access: Access) => void): void {
  const pass = (numbers: number, access: Access): void => {
    statements(access);
    for (const pointer of pointers) f.set(pointer, add(pointer, 4 * numbers));
    f.set(count, sub(count, numbers));
  };
  f.while(greater(count, 3), () =>
    pass(4, { read: at => load('f32x4', at), write: (at, value) => f.store(at, value) }),
  );
  f.while(notEqual(count, 0), () =>
    pass(1, { read: at => loadSplat('f32x4', at), write: (at, value) => f.store(at, lane(value, 0)) }),
  );
}

const vector = (x: number): Vector => lift('f32x4', x);

const FUNCTIONS: Record<'erf' | 'exp' | 'sigmoid', (f: Body, x: Local<'f32x4'>) => Vector> = {
  erf,
  exp: exponential,
  sigmoid: (f, x) => div(vector(1), add(exponential(f, f.local('f32x4', sub(vector(0), x))), 1)),
};

/** To an absolute error of 1.5e-7: Abramowitz & Stegun, Handbook of Mathematical Functions, 7.1.26. */
function erf(f: Body, x: Local<'f32x4'>): Vector {
  const size = f.local('f32x4', max(x, sub(vector(0), x)));
  const t = f.local('f32x4', div(vector(1), add(mul(size, 0.3275911), 1)));
  const series = [-1.453152027, 1.421413741, -0.284496736, 0.254829592].reduce<Vector>(
    (sum, coefficient) => add(mul(sum, t), coefficient),
    vector(1.061405429),
  );
  const power = f.local('f32x4', max(sub(vector(0), mul(x, x)), -87));
  const positive = f.local('f32x4', sub(vector(1), mul(mul(series, t), exp(f, power))));
  return select(sub(vector(0), positive), positive, less(x, 0));
}

/** Beyond 80 it is e⁶⁴ times the value at x − 64, so that what is between the largest number and 2¹²⁷ comes out too. */
function exponential(f: Body, x: Local<'f32x4'>): Vector {
  const [SHIFT, SMALLEST] = [64, -87.3];
  const bounded = f.local('f32x4', max(min(x, 2 * SHIFT), SMALLEST));
  const large = greater(bounded, 80);
  const value = exp(f, f.local('f32x4', select(sub(bounded, SHIFT), bounded, large)));
  const scaled = mul(value, select(vector(Math.exp(SHIFT)), vector(1), large));
  return select(vector(0), scaled, less(x, SMALLEST));
}

function addUpdates(module: SimdModule): void {
  module.routine('squares', { x: 'i32', count: 'i32' }, 'f64', (f, { x, count }) => {
    const sums = f.local('f64x2', 0);
    const rest = f.local('f64', 0);
    f.while(greater(count, 3), () => {
      const numbers = f.local('f32x4', load('f32x4', x));
      const squares = f.local('f32x4', mul(numbers, numbers));
      f.set(sums, add(sums, promoteLow(squares)));
      f.set(sums, add(sums, promoteLow(shuffle(squares, squares, [2, 3, 2, 3]))));
      f.set(x, add(x, 16));
      f.set(count, sub(count, 4));
    });
    f.while(notEqual(count, 0), () => {
      const number = f.local('f32x4', loadSplat('f32x4', x));
      f.set(rest, add(rest, lane(promoteLow(mul(number, number)), 0)));
      f.set(x, add(x, 4));
      f.set(count, sub(count, 1));
    });
    f.return(add(add(lane(sums, 0), lane(sums, 1)), rest));
  });

  const pair = { x: 'i32', target: 'i32', count: 'i32', share: 'f32' } as const;
  module.routine('move', pair, undefined, (f, { x, target, count, share }) => {
    const part = f.local('f32x4', splat('f32x4', share));
    overAll(f, [x, target], count, ({ read, write }) => {
      const old = f.local('f32x4', read(x));
      write(x, add(old, mul(sub(read(target), old), part)));
    });
  });

  const row = {
    p: 'i32',
    v: 'i32',
    gradient: 'i32',
    rate: 'i32',
    scale: 'i32',
    count: 'i32',
    momentum: 'f32',
  } as const;
  module.routine('momentum', row, undefined, (f, { p, v, gradient, rate, scale, count, momentum }) => {
    const kept = f.local('f32x4', splat('f32x4', momentum));
    overAll(f, [p, v, gradient, rate, scale], count, ({ read, write }) => {
      const velocity = f.local('f32x4', add(mul(read(v), kept), mul(read(gradient), read(scale))));
      write(v, velocity);
      write(p, sub(read(p), mul(velocity, read(rate))));
    });
  });

  const parameters = {
    ...({ p: 'i32', m: 'i32', v: 'i32', gradient: 'i32', count: 'i32' } as const),
    ...({ beta1: 'f32', beta2: 'f32', size: 'f32', epsilonHat: 'f32', factor: 'f32', kept: 'f32' } as const),
  };
  module.routine('adam', parameters, undefined, (f, { p, m, v, gradient, count, ...scalars }) => {
    const every = (scalar: Value<'f32'>): Local<'f32x4'> => f.local('f32x4', splat('f32x4', scalar));
    const { beta1, beta2, size, epsilonHat, factor, kept } = scalars;
    const [size4, epsilon4, factor4, kept4] = [size, epsilonHat, factor, kept].map(every);
    const [new1, new2] = [beta1, beta2].map(beta => every(sub(lift('f32', 1), beta)));
    const counts = f.local('mask', notEqual(factor4, 0));
    overAll(f, [p, m, v, gradient], count, ({ read, write }) => {
      const g = f.local('f32x4', select(mul(read(gradient), factor4), vector(0), counts));
      const [m0, v0] = [m, v].map(moment => f.local('f32x4', read(moment)));
      const m1 = f.local('f32x4', add(m0, mul(sub(g, m0), new1)));
      const v1 = f.local('f32x4', add(v0, mul(sub(mul(g, g), v0), new2)));
      write(m, m1);
      write(v, v1);
      write(p, sub(mul(read(p), kept4), div(mul(m1, size4), add(sqrt(v1), epsilon4))));
    });
  });
}

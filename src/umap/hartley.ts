import {
  add,
  constant,
  i32,
  less,
  load,
  loadSplat,
  mul,
  mulAdd,
  notEqual,
  shiftLeft,
  sub,
  transposed,
  type Body,
  type Local,
  type Routine,
  type SimdModule,
  type Value,
} from '../simd/index.js';

/*
 * Convolution on a square mesh by Hartley's transform H[k] = Σ x[n] (cos + sin)(2π k n / m) (Bracewell 1984): it stays among
 * real numbers, is its own inverse but for 1/m, and turns convolving with what is even in both axes into multiplying.
 * Four columns are transformed at once, one in each lane. Lengths are 3 · 2^k or 2^k, four at least.
 */

/** Addresses of what the routines share. */
export interface TransformMemory {
  /** Which input each place of a transform starts from, and the inverse: 32-bit indices, `tables` fills them. */
  order: number;
  slots: number;
  /** Cosine and sine of each butterfly, in the order of use. */
  twiddles: number;
  /** Space for two transforms of the longest length on each thread. */
  scratch: number;
  scratchBytes: number;
  threads: number;
}

const VECTOR = 16;
const LENGTH = { m: 'i32', three: 'i32' } as const;

/** What the tables hold for length m. `three`: whether it begins with transforms of length three, else of four. */
export function tables(m: number): { order: Int32Array; slots: Int32Array; twiddles: Float32Array; three: boolean } {
  const three = m % 3 === 0;
  const first = three ? 3 : 4;
  let order = Array.from({ length: first }, (_, i) => i);
  const twiddles: number[] = [];
  for (let length = first; length < m; length *= 2) {
    order = [...order.map(i => 2 * i), ...order.map(i => 2 * i + 1)];
    for (let k = 1; 2 * k < length; k++)
      twiddles.push(Math.cos((Math.PI * k) / length), Math.sin((Math.PI * k) / length));
  }
  const slots = new Int32Array(m);
  order.forEach((from, at) => (slots[from] = at));
  return { order: Int32Array.from(order), slots, twiddles: Float32Array.from(twiddles), three };
}

/**
 * Adds three passes over columns, which every thread calls: `columns` of sources [given, width], taken to be zero beyond,
 * gives their transforms as rows [width, m]; `convolve` finishes the transform of these, multiplies by a spectrum [m, m]
 * and takes the first half of the way back; `back` takes the second, into the first rows and columns [given, given].
 */
export function addConvolution(module: SimdModule, memory: TransformMemory): void {
  const { scratch, scratchBytes, threads } = memory;
  const transform = addTransform(module, memory);
  const index = (table: number, at: Value<'i32'>): Value<'i32'> => load('i32', add(at, table));
  const space = (f: Body, thread: Value<'i32'>): Local<'i32'> =>
    f.local('i32', add(mul(thread, 2 * scratchBytes), scratch));
  /** The strips of four columns that are this thread's, of rows of `width` numbers. */
  const strips = (f: Body, thread: Value<'i32'>, width: Value<'i32'>, each: (column: Local<'i32'>) => void): void =>
    f.range(mul(thread, VECTOR), shiftLeft(width, 2), VECTOR * threads, each);

  /** The inputs at `from`, rows `stride` apart, to where a transform takes them from; zeros from row `given` on. */
  const gather = (f: Body, [buffer, from, stride, given, m]: readonly Value<'i32'>[]): void => {
    const row = f.local('i32');
    f.range(0, shiftLeft(m, 2), 4, at => {
      const to = add(buffer, shiftLeft(at, 2));
      f.set(row, index(memory.order, at));
      f.if(
        less(row, given),
        () => f.store(to, load('f32x4', add(from, mul(row, stride)))),
        () => f.store(to, constant('f32x4', 0)),
      );
    });
  };

  const arrays = { thread: 'i32', from: 'i32', to: 'i32', width: 'i32', given: 'i32', ...LENGTH } as const;
  module.routine('columns', arrays, undefined, (f, { thread, from, to, width, given, m, three }) => {
    const buffer = space(f, thread);
    strips(f, thread, width, column => {
      gather(f, [buffer, f.local('i32', add(from, column)), f.local('i32', shiftLeft(width, 2)), given, m]);
      f.call(transform, buffer, m, three);
      const out = f.local('i32', add(to, mul(column, m)));
      f.range(buffer, add(buffer, shiftLeft(m, 4)), 4 * VECTOR, at => {
        const rows = [0, 1, 2, 3].map(k => f.local('f32x4', load('f32x4', at, k * VECTOR)));
        transposed(f, rows).forEach((row, c) => f.store(add(out, mul(m, 4 * c)), row));
        f.set(out, add(out, VECTOR));
      });
    });
  });

  const spectral = { thread: 'i32', half: 'i32', spectrum: 'i32', given: 'i32', ...LENGTH } as const;
  module.routine('convolve', spectral, undefined, (f, { thread, half, spectrum, given, m, three }) => {
    const buffer = space(f, thread);
    const second = f.local('i32', add(buffer, scratchBytes));
    const stride = f.local('i32', shiftLeft(m, 2));
    const factor = f.local('i32');
    strips(f, thread, m, column => {
      const from = f.local('i32', add(half, column));
      gather(f, [buffer, from, stride, given, m]);
      f.call(transform, buffer, m, three);
      const row = f.local('i32');
      f.range(0, stride, 4, at => {
        f.set(row, index(memory.order, at));
        f.set(factor, add(add(spectrum, column), mul(row, stride)));
        const product = mul(load('f32x4', add(buffer, shiftLeft(row, 4))), load('f32x4', factor));
        f.store(add(second, shiftLeft(at, 2)), product);
      });
      f.call(transform, second, m, three);
      const to = f.local('i32', from);
      f.range(second, add(second, shiftLeft(given, 4)), VECTOR, at => {
        f.store(to, load('f32x4', at));
        f.set(to, add(to, stride));
      });
    });
  });

  const backwards = { thread: 'i32', half: 'i32', mesh: 'i32', given: 'i32', ...LENGTH } as const;
  module.routine('back', backwards, undefined, (f, { thread, half, mesh, given, m, three }) => {
    const buffer = space(f, thread);
    strips(f, thread, given, column => {
      const from = f.local('i32', add(half, mul(column, m)));
      f.range(0, shiftLeft(m, 2), VECTOR, at => {
        const rows = [0, 1, 2, 3].map(c => f.local('f32x4', load('f32x4', add(add(from, at), mul(m, 4 * c)))));
        transposed(f, rows).forEach((row, k) =>
          f.store(add(buffer, shiftLeft(index(memory.slots + 4 * k, at), 4)), row),
        );
      });
      f.call(transform, buffer, m, three);
      const to = f.local('i32', add(mesh, column));
      f.range(buffer, add(buffer, shiftLeft(given, 4)), VECTOR, at => {
        f.store(to, load('f32x4', at));
        f.set(to, add(to, shiftLeft(given, 2)));
      });
    });
  });
}

/** Transforms m vectors at `buffer` in place, once they are in `order`. */
function addTransform(module: SimdModule, { twiddles }: TransformMemory): Routine {
  return module.routine(undefined, { buffer: 'i32', ...LENGTH }, undefined, (f, { buffer, m, three }) => {
    const end = f.local('i32', add(buffer, shiftLeft(m, 4)));
    const read = (at: Value<'i32'>, offset = 0): Local<'f32x4'> => f.local('f32x4', load('f32x4', at, offset));
    const [length, middle] = [f.local('i32'), f.local('i32')];
    f.if(
      three,
      () => {
        f.range(buffer, end, 3 * VECTOR, at => {
          const [a, b, c] = [0, 1, 2].map(k => read(at, k * VECTOR));
          const [near, far] = [(Math.sqrt(3) - 1) / 2, -(Math.sqrt(3) + 1) / 2];
          f.store(at, add(add(a, b), c));
          f.store(at, add(a, add(mul(b, near), mul(c, far))), VECTOR);
          f.store(at, add(a, add(mul(b, far), mul(c, near))), 2 * VECTOR);
        });
        f.set(length, 3 * VECTOR);
      },
      () => {
        f.range(buffer, end, 4 * VECTOR, at => {
          const [a, b, c, d] = [0, 1, 2, 3].map(k => read(at, k * VECTOR));
          const [even, odd] = [f.local('f32x4', add(a, c)), f.local('f32x4', add(b, d))];
          const [evenTurned, oddTurned] = [f.local('f32x4', sub(a, c)), f.local('f32x4', sub(b, d))];
          f.store(at, add(even, odd));
          f.store(at, add(evenTurned, oddTurned), VECTOR);
          f.store(at, sub(even, odd), 2 * VECTOR);
          f.store(at, sub(evenTurned, oddTurned), 3 * VECTOR);
        });
        f.set(length, 4 * VECTOR);
        f.set(middle, 2 * VECTOR);
      },
    );
    const stage = f.local('i32', i32(twiddles));
    const [twiddle, at, low, high] = [0, 0, 0, 0].map(() => f.local('i32'));
    /** Of two transforms of `length`, one of twice the length: what meets at k, at length − k and at the ends. */
    const alone = (even: Value<'i32'>): void => {
      const odd = add(even, length);
      const [a, b] = [read(even), read(odd)];
      f.store(even, add(a, b));
      f.store(odd, sub(a, b));
    };
    const pair = (): void => {
      const [c, s] = [0, 4].map(offset => f.local('f32x4', loadSplat('f32x4', twiddle, offset)));
      const [evenLow, evenHigh] = [read(low), read(high)];
      const [oddLow, oddHigh] = [read(add(low, length)), read(add(high, length))];
      const first = f.local('f32x4', mulAdd(s, oddHigh, mul(c, oddLow)));
      const second = f.local('f32x4', sub(mul(s, oddLow), mul(c, oddHigh)));
      f.store(low, add(evenLow, first));
      f.store(add(low, length), sub(evenLow, first));
      f.store(high, add(evenHigh, second));
      f.store(add(high, length), sub(evenHigh, second));
    };
    f.while(less(length, shiftLeft(m, 4)), () => {
      f.set(at, buffer);
      f.repeatWhile(less(at, end), () => {
        alone(at);
        f.if(notEqual(length, 3 * VECTOR), () => alone(f.local('i32', add(at, middle))));
        f.set(twiddle, stage);
        f.set(low, add(at, VECTOR));
        f.set(high, add(at, sub(length, VECTOR)));
        f.repeatWhile(less(low, high), () => {
          pair();
          f.set(twiddle, add(twiddle, 8));
          f.set(low, add(low, VECTOR));
          f.set(high, sub(high, VECTOR));
        });
        f.set(at, add(at, shiftLeft(length, 1)));
      });
      f.set(stage, twiddle);
      f.set(middle, length);
      f.set(length, shiftLeft(length, 1));
    });
  });
}

import {
  add,
  Arena,
  constant,
  demoteToLow,
  fetchAdd,
  greater,
  i32,
  less,
  load,
  loadSplat,
  mul,
  mulAdd,
  notEqual,
  promoteLow,
  rounded,
  shiftLeft,
  shuffle,
  SimdModule,
  sub,
  type Body,
  type Local,
  type Routine,
  type Value,
} from '../simd/index.js';

/** Rows whose products are summed before they join the double-precision sums. */
export const PANEL = 256;
/** Columns of one piece of work: two such strips of a panel stay in a core's cache. */
const STRIP = 128;

/** float64: products too are in double precision. float32: half the time; sums beyond a panel are double still. */
export type GramPrecision = 'float32' | 'float64';

export interface ScatterLayout {
  precision: GramPrecision;
  /** Columns, padded to a whole strip. */
  width: number;
  panels: number;
  /** f32 [panels · PANEL, width] */
  rows: number;
  /** Centred rows, [panel][group of columns][PANEL][columns of a group]. */
  packed: number;
  /** f64 [width]: what is taken from every row, and the sums of what is left. */
  centre: number;
  sums: number;
  /** f64 [width]: what sums of a panel are rounded by, and products of two columns by the product of theirs; see `Centre`. */
  sumLimits: number;
  limits: number;
  /** f64 [width, width]; only on and below the diagonal. */
  scatter: number;
  next: number;
  pages: number;
  bytes: number;
}

const BYTES = { float32: 4, float64: 8 } as const;
/** Columns of one group: two vectors. */
const GROUP = { float32: 8, float64: 4 } as const;

export function planScatter(dims: number, panels: number, precision: GramPrecision): ScatterLayout {
  const width = Math.ceil(dims / STRIP) * STRIP;
  const arena = new Arena();
  const layout = {
    rows: arena.take(panels * PANEL * width * 4),
    packed: arena.take(panels * PANEL * width * BYTES[precision]),
    centre: arena.take(width * 8),
    sums: arena.take(width * 8),
    sumLimits: arena.take(width * 8),
    limits: arena.take(width * 8),
    scatter: arena.take(width * width * 8),
    next: arena.take(64),
  };
  return { precision, width, panels, ...layout, bytes: arena.bytes, pages: arena.pages };
}

type I = Value<'i32'>;

/**
 * `pack`: rows → centred panels and their sums; `multiply`: panels → the scatter on and below the diagonal. Work is shared
 * out by strips. Sums of a panel are rounded so that no sum of panels depends on their order; see `Centre`.
 */
export function scatterModule(layout: ScatterLayout): Uint8Array<ArrayBuffer> {
  const { width } = layout;
  const strips = width / STRIP;
  const m = new SimdModule(layout.pages);
  const tile = addTile(m, layout);
  m.routine('pack', { thread: 'i32', rows: 'i32' }, undefined, (f, { rows }) => {
    eachPiece(f, layout.next, i32(width / GROUP[layout.precision]), group => packGroup(f, layout, group, rows));
  });
  m.routine('multiply', { thread: 'i32', rows: 'i32' }, undefined, (f, { rows }) => {
    eachPiece(f, layout.next, i32((strips * (strips + 1)) / 2), piece => {
      // Piece p of the triangle: strip i (of rows of the result) and j ≤ i.
      const i = f.local('i32', 0);
      const j = f.local('i32', piece);
      f.while(greater(j, i), () => {
        f.set(i, add(i, 1));
        f.set(j, sub(j, i));
      });
      f.range(0, rows, PANEL, first => {
        const count = f.local('i32', sub(rows, first));
        f.if(greater(count, PANEL), () => f.set(count, PANEL));
        const panel = f.local('i32', add(mul(first, width * BYTES[layout.precision]), layout.packed));
        f.call(tile, panel, mul(i, STRIP), mul(j, STRIP), count);
      });
    });
  });
  return m.bytes();
}

function eachPiece(f: Body, next: number, pieces: I, body: (piece: Local<'i32'>) => void): void {
  const piece = f.local('i32', fetchAdd(i32(next), 1));
  f.while(less(piece, pieces), () => {
    body(piece);
    f.set(piece, fetchAdd(i32(next), 1));
  });
}

/** One group of columns of all panels. */
function packGroup(f: Body, layout: ScatterLayout, group: I, rows: I): void {
  const { width, precision } = layout;
  const size = GROUP[precision];
  const centre = f.local('i32', add(mul(group, size * 8), layout.centre));
  const centres = [0, 16, 32, 48].slice(0, size / 2).map(at => f.local('f64x2', load('f64x2', centre, at)));
  const sums = centres.map(() => f.local('f64x2'));
  const total = f.local('i32', add(mul(group, size * 8), layout.sums));
  const limits = f.local('i32', add(mul(group, size * 8), layout.sumLimits));
  const from = f.local('i32', add(mul(group, size * 4), layout.rows));
  f.range(0, rows, PANEL, first => {
    const count = f.local('i32', sub(rows, first));
    f.if(greater(count, PANEL), () => f.set(count, PANEL));
    const panel = add(mul(first, width * BYTES[precision]), layout.packed);
    const to = f.local('i32', add(panel, mul(group, PANEL * size * BYTES[precision])));
    for (const sum of sums) f.set(sum, constant('f64x2', 0));
    f.range(0, count, 1, () => {
      for (let v = 0; v < size / 4; v++) {
        const x = f.local('f32x4', load('f32x4', from, 16 * v));
        const centred = [promoteLow(x), promoteLow(shuffle(x, x, [2, 3, 2, 3]))].map((half, h) =>
          f.local('f64x2', sub(half, centres[2 * v + h])),
        );
        centred.forEach((half, h) => f.set(sums[2 * v + h], add(sums[2 * v + h], half)));
        if (precision === 'float64') centred.forEach((half, h) => f.store(to, half, 16 * h));
        else f.store(to, shuffle(demoteToLow(centred[0]), demoteToLow(centred[1]), [0, 1, 4, 5]), 16 * v);
      }
      f.set(from, add(from, width * 4));
      f.set(to, add(to, size * BYTES[precision]));
    });
    sums.forEach((sum, v) => {
      const kept = rounded(f, sum, load('f64x2', limits, 16 * v));
      f.store(total, add(load('f64x2', total, 16 * v), kept), 16 * v);
    });
  });
}

/** Adds the products of two strips of one panel: tiles of four rows and one group of columns of the result. */
function addTile(m: SimdModule, layout: ScatterLayout): Routine {
  const { precision, width, scatter, limits } = layout;
  const size = GROUP[precision];
  const bytes = BYTES[precision];
  const vector = precision === 'float32' ? 'f32x4' : 'f64x2';
  const parameters = { panel: 'i32', firstRow: 'i32', firstColumn: 'i32', count: 'i32' } as const;
  return m.routine(undefined, parameters, undefined, (f, { panel, firstRow, firstColumn, count }) => {
    const left = f.local('i32');
    const a = f.local('i32');
    const b = f.local('i32');
    f.range(firstRow, add(firstRow, STRIP), 4, i => {
      f.range(firstColumn, add(firstColumn, STRIP), size, j => {
        f.if(less(j, add(i, 4)), () => {
          const sums = [0, 1, 2, 3].map(() => [f.local(vector, 0), f.local(vector, 0)]);
          // Groups of eight hold two tiles' rows side by side.
          const within = precision === 'float32' ? mul(and4(i), 4) : i32(0);
          const group = precision === 'float32' ? sub(i, and4(i)) : i;
          f.set(a, add(add(panel, mul(group, PANEL * bytes)), within));
          f.set(b, add(panel, mul(j, PANEL * bytes)));
          f.set(left, count);
          f.repeatWhile(notEqual(left, 0), () => {
            const columns = [0, 16].map(at => f.local(vector, load(vector, b, at)));
            sums.forEach((sum, r) => {
              const value = f.local(vector, loadSplat(vector, a, r * bytes));
              sum.forEach((_, c) => f.set(sum[c], mulAdd(value, columns[c], sum[c])));
            });
            f.set(a, add(a, size * bytes));
            f.set(b, add(b, size * bytes));
            f.set(left, sub(left, 1));
          });
          const to = f.local('i32', add(mul(i, width * 8), add(shiftLeft(j, 3), scatter)));
          const across = f.local('i32', add(shiftLeft(j, 3), limits));
          sums.forEach((sum, r) => {
            const down = f.local('f64x2', loadSplat('f64x2', add(shiftLeft(i, 3), limits), 8 * r));
            sum.flatMap(halves).forEach((x, c) => {
              const kept = rounded(f, x, mul(down, load('f64x2', across, 16 * c)));
              const offset = r * width * 8 + 16 * c;
              f.store(to, add(load('f64x2', to, offset), kept), offset);
            });
          });
        });
      });
    });
  });
}

const and4 = (x: I): I => ({ type: 'i32', code: [...x.code, ...i32(4).code, 0x71] });

/** Numbers in double precision, two by two. */
function halves(x: Value<'f32x4' | 'f64x2'>): Value<'f64x2'>[] {
  if (x.type === 'f64x2') return [x as Value<'f64x2'>];
  const lanes = x as Value<'f32x4'>;
  return [promoteLow(lanes), promoteLow(shuffle(lanes, lanes, [2, 3, 2, 3]))];
}

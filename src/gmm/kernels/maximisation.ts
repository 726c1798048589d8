import {
  add,
  atLeast,
  bitmask,
  constant,
  equal,
  exp,
  greater,
  i32,
  load,
  loadSplat,
  mul,
  mulAdd,
  notEqual,
  promote,
  promoteLow,
  result,
  rounded,
  shiftLeft,
  shuffle,
  splat,
  sub,
  trailingZeros,
  and,
  less,
  type Body,
  type Local,
  type Routine,
  type SimdModule,
  type Value,
} from '../../simd/index.js';
import { eachTile, NEGLIGIBLE, locate } from './expectation.js';
import { PANEL, TILE, type MemoryLayout, type Moments, type Scratch } from './layout.js';
import { PASSES, type Pass } from './passes.js';

export interface MaximisationNames {
  pass: Pass;
  /** The point at which rows are centred. */
  means: number;
  moments: Moments;
  /** k-means: a row belongs to its nearest component alone. */
  hard: boolean;
  /** What takes the place of `outerProducts`, if anything does. */
  outer?: Routine | undefined;
}

type I = Value<'i32'>;

/**
 * The M-step's sums, component by component over all tiles of the block: only rows with a responsibility above 10⁻¹⁰
 * are touched. Rows are centred first, so that nothing cancels; products are in single precision over a panel of
 * rows, sums of panels in double. `fresh` sets the sums to zero first.
 *
 * The sums do not depend on the order in which panels are added, so neither on who adds which of them: a panel's sum s is
 * `rounded` by c, 2²⁰ times what the component's former covariance lets one expect, which leaves
 * 33 bits below that: more than the products have. See `limitSums`.
 */
export function addMaximisation(m: SimdModule, layout: MemoryLayout, names: MaximisationNames): void {
  const scratch = layout.offsets;
  const gather = gatherRows(m, layout, scratch, names);
  const flush = flushPanel(m, layout, scratch, names);
  const lastOfSegment = layout.segmentRows / TILE - 1;
  const parameters = {
    thread: 'i32',
    slot: 'i32',
    tiles: 'i32',
    rows: 'i32',
    components: 'i32',
    fresh: 'i32',
  } as const;
  m.routine(names.pass.name, parameters, undefined, (f, { thread, slot, tiles, rows, components, fresh }) => {
    const room = f.local('i32', add(mul(thread, layout.scratchBytes), layout.scratch));
    eachTile(f, layout, components, k => {
      f.if(fresh, () => clearSums(f, layout, names, k));
      const waiting = f.local('i32', 0);
      f.range(0, tiles, 1, t => {
        const tile = locate(f, layout, layout.data, slot, t, rows);
        const state = names.hard ? tile.best : tile.logDensity;
        const found = result('i32', gather, room, waiting, tile.count, k, tile.rows, tile.distances, state);
        f.set(waiting, found);
        const done = f.local('i32', 0);
        f.while(atLeast(waiting, add(done, PANEL)), () => {
          f.call(flush, room, k, done, i32(PANEL));
          f.set(done, add(done, PANEL));
        });
        moveToFront(f, scratch, room, done, waiting);
        f.set(waiting, sub(waiting, done));
        f.if(equal(and(add(slot, t), lastOfSegment), lastOfSegment), () => {
          f.if(waiting, () => f.call(flush, room, k, i32(0), waiting));
          f.set(waiting, 0);
        });
      });
      f.if(waiting, () => f.call(flush, room, k, i32(0), waiting));
    });
  });
}

/** The M-step's sums by responsibility, and those of rows that each belong to one component, about the means. */
export function addMoments(m: SimdModule, layout: MemoryLayout, moments: Moments, outer?: Routine): void {
  const names = { means: layout.means, moments, outer };
  addMaximisation(m, layout, { ...names, pass: PASSES.maximise, hard: false });
  addMaximisation(m, layout, { ...names, pass: PASSES.gather, hard: true });
}

function clearSums(f: Body, layout: MemoryLayout, { moments }: MaximisationNames, k: I): void {
  const { width } = layout;
  f.store(add(shiftLeft(k, 3), layout.counts), constant('f64', 0));
  f.clear(add(mul(k, width * 8), layout.sums), width * 8);
  const bytes = moments === 'outer' ? width * width * 8 : moments === 'squares' ? width * 8 : 0;
  if (bytes > 0) f.clear(add(mul(k, bytes), layout.scatter), bytes);
}

/** Rows that did not fill a panel wait for the next tile's. */
function moveToFront(f: Body, scratch: Scratch, room: I, done: I, waiting: I): void {
  f.range(done, waiting, 1, n => {
    const from = f.local('i32', add(room, shiftLeft(n, 2)));
    const to = f.local('i32', add(room, shiftLeft(sub(n, done), 2)));
    f.store(to, load('i32', from, scratch.list), scratch.list);
    f.store(to, load('f32', from, scratch.weights), scratch.weights);
  });
}

/** Appends the addresses of the tile's rows that matter to component k, and their responsibilities. */
function gatherRows(m: SimdModule, layout: MemoryLayout, scratch: Scratch, names: MaximisationNames): Routine {
  const parameters = {
    room: 'i32',
    waiting: 'i32',
    count: 'i32',
    k: 'i32',
    rows: 'i32',
    distances: 'i32',
    /** Log densities of the rows, or for k-means the numbers of their components. */
    state: 'i32',
  } as const;
  return m.routine(undefined, parameters, 'i32', (f, { room, waiting, count, k, rows, distances, state }) => {
    const found = f.local('i32', add(room, shiftLeft(waiting, 2)));
    const column = f.local('i32', add(distances, mul(k, TILE * 4)));
    const bits = f.local('i32');
    const append = (at: I, weight: (bit: Local<'i32'>) => Value<'f32'>): void =>
      f.while(notEqual(bits, 0), () => {
        const bit = f.local('i32', trailingZeros(bits));
        const row = add(quarter(at), bit);
        f.store(found, add(rows, mul(row, layout.rowBytes)), scratch.list);
        f.store(found, weight(bit), scratch.weights);
        f.set(found, add(found, 4));
        f.set(bits, and(bits, sub(bits, 1)));
      });
    if (names.hard) {
      const component = f.local('i32x4', splat('i32x4', k));
      f.range(0, shiftLeft(count, 2), 16, at => {
        f.set(bits, bitmask(equal(load('i32x4', add(state, at)), component)));
        // Lanes behind the last row may hold anything.
        f.if(less(count, add(quarter(at), 4)), () => f.set(bits, and(bits, sub(shiftOne(sub(count, quarter(at))), 1))));
        append(at, () => constant('f32', 1));
      });
    } else {
      const c = f.local('f32x4', loadSplat('f32x4', add(shiftLeft(k, 2), layout.constants)));
      f.range(0, shiftLeft(count, 2), 16, at => {
        const distance = load('f32x4', add(column, at));
        const log = f.local('f32x4', sub(sub(c, mul(distance, 0.5)), load('f32x4', add(state, at))));
        f.set(bits, bitmask(greater(log, -NEGLIGIBLE)));
        f.if(bits, () => {
          f.store(room, exp(f, log), scratch.lanes);
          append(at, bit => load('f32', add(room, shiftLeft(bit, 2)), scratch.lanes));
        });
      });
    }
    f.return(quarter(sub(found, room)));
  });
}

const quarter = (x: I): I => ({ type: 'i32', code: [...x.code, ...i32(2).code, 0x76] });
/** 2 to the power of `bits`. */
const shiftOne = (bits: I): I => ({ type: 'i32', code: [...i32(1).code, ...bits.code, 0x74] });

/** Adds up to PANEL listed rows to component k's sums. */
function flushPanel(m: SimdModule, layout: MemoryLayout, scratch: Scratch, names: MaximisationNames): Routine {
  const { width, rowBytes } = layout;
  const outer = names.moments === 'outer' ? (names.outer ?? outerProducts(m, layout, scratch)) : undefined;
  const parameters = { room: 'i32', k: 'i32', first: 'i32', count: 'i32' } as const;
  return m.routine(undefined, parameters, undefined, (f, { room, k, first, count }) => {
    const mean = f.local('i32', add(mul(k, rowBytes), names.means));
    const total = f.local('f64', 0);
    f.clear(add(room, scratch.sums), rowBytes);
    f.clear(add(room, scratch.squares), rowBytes);
    f.range(0, count, 1, n => {
      const entry = f.local('i32', add(room, shiftLeft(add(first, n), 2)));
      const row = f.local('i32', load('i32', entry, scratch.list));
      const weight = f.local('f32x4', loadSplat('f32x4', entry, scratch.weights));
      f.set(total, add(total, promote(load('f32', entry, scratch.weights))));
      const to = f.local('i32', add(room, mul(n, 32)));
      const toWeighted = f.local('i32', add(room, mul(n, 16)));
      // Four numbers at a time: they lie in columns of eight, PANEL rows each, and weighted in columns of four.
      f.range(0, rowBytes, 32, j => {
        for (const half of [0, 16]) {
          const at = f.local('i32', add(j, half));
          const x = f.local('f32x4', sub(load('f32x4', add(row, at)), load('f32x4', add(mean, at))));
          const weighted = f.local('f32x4', mul(x, weight));
          const sums = f.local('i32', add(room, at));
          f.store(sums, add(load('f32x4', sums, scratch.sums), weighted), scratch.sums);
          if (names.moments === 'squares')
            f.store(sums, mulAdd(x, weighted, load('f32x4', sums, scratch.squares)), scratch.squares);
          if (outer) {
            f.store(to, x, scratch.panel + half);
            f.store(toWeighted, weighted, scratch.weighted + half * PANEL);
          }
        }
        f.set(to, add(to, PANEL * 32));
        f.set(toWeighted, add(toWeighted, PANEL * 32));
      });
    });
    const counts = f.local('i32', add(shiftLeft(k, 3), layout.counts));
    f.store(counts, add(load('f64', counts), rounded(f, total, constant('f64', 2 * layout.totalRows))));
    const spread = f.local('i32', add(mul(k, width * 8), layout.spread));
    const reach = f.local('f64x2', loadSplat('f64x2', add(shiftLeft(k, 3), layout.reach)));
    addVector(f, add(room, scratch.sums), add(mul(k, width * 8), layout.sums), spread, rowBytes, x => mul(x, reach));
    if (names.moments === 'squares')
      addVector(f, add(room, scratch.squares), add(mul(k, width * 8), layout.scatter), spread, rowBytes, x =>
        mul(x, x),
      );
    if (outer) f.call(outer, room, add(mul(k, width * width * 8), layout.scatter), spread, count);
  });
}

/** Adds f32 numbers to f64 sums; their limits follow from the spreads. */
function addVector(
  f: Body,
  from: I,
  to: I,
  spread: I,
  bytes: number,
  limitOf: (spread: Value<'f64x2'>) => Value<'f64x2'>,
): void {
  const source = f.local('i32', from);
  const target = f.local('i32', to);
  const limit = (at: I, offset: number) => limitOf(f.local('f64x2', load('f64x2', at, offset)));
  f.range(0, bytes, 16, j => {
    const x = f.local('f32x4', load('f32x4', add(source, j)));
    const spreads = f.local('i32', add(spread, shiftLeft(j, 1)));
    addLanes(f, f.local('i32', add(target, shiftLeft(j, 1))), 0, x, [limit(spreads, 0), limit(spreads, 16)]);
  });
}

/** Four f32 lanes onto four f64 sums, rounded first. */
function addLanes(
  f: Body,
  address: Local<'i32'>,
  offset: number,
  x: Local<'f32x4'>,
  limits: readonly [Value<'f64x2'>, Value<'f64x2'>],
): void {
  [x, shuffle(x, x, [2, 3, 2, 3])].forEach((lanes, i) => {
    const sum = load('f64x2', address, offset + 16 * i);
    f.store(address, add(sum, rounded(f, promoteLow(lanes), limits[i])), offset + 16 * i);
  });
}

/** Parameters of `outerProducts`. */
export const OUTER = { room: 'i32', matrix: 'i32', spread: 'i32', count: 'i32' } as const;

/** Σ over the panel's rows of weighted · rowᵀ, on and below the diagonal, added to a double-precision matrix. */
function outerProducts(m: SimdModule, { width }: MemoryLayout, scratch: Scratch): Routine {
  return m.routine(undefined, OUTER, undefined, (f, { room, matrix, spread, count }) => {
    const left = f.local('i32');
    const x = f.local('i32');
    const weighted = f.local('i32');
    f.range(0, width / 4, 1, i => {
      f.range(0, add(half(i), 1), 1, j => {
        const sums = [0, 1, 2, 3].map(() => [f.local('f32x4', 0), f.local('f32x4', 0)]);
        f.set(weighted, add(room, mul(i, PANEL * 16)));
        f.set(x, add(room, mul(j, PANEL * 32)));
        f.set(left, count);
        f.repeatWhile(notEqual(left, 0), () => {
          const columns = [0, 16].map(at => f.local('f32x4', load('f32x4', x, scratch.panel + at)));
          sums.forEach((sum, r) => {
            const value = f.local('f32x4', loadSplat('f32x4', weighted, scratch.weighted + 4 * r));
            sum.forEach((_, c) => f.set(sum[c], mulAdd(value, columns[c], sum[c])));
          });
          f.set(x, add(x, 32));
          f.set(weighted, add(weighted, 16));
          f.set(left, sub(left, 1));
        });
        const to = f.local('i32', add(matrix, add(mul(i, width * 32), mul(j, 64))));
        const across = f.local('i32', add(spread, mul(j, 64)));
        sums.forEach((sum, r) => {
          const down = f.local('f64x2', loadSplat('f64x2', add(spread, mul(i, 32)), 8 * r));
          const limit = (c: number) => mul(down, load('f64x2', across, 16 * c));
          sum.forEach((lanes, c) => addLanes(f, to, r * width * 8 + c * 32, lanes, [limit(2 * c), limit(2 * c + 1)]));
        });
      });
    });
  });
}

const half = (x: I): I => ({ type: 'i32', code: [...x.code, ...i32(1).code, 0x76] });

import {
  add,
  and,
  andNot,
  anyTrue,
  bitmask,
  constant,
  demote,
  div,
  equal,
  exp,
  fetchAdd,
  greater,
  i32,
  lane,
  less,
  lift,
  load,
  loadSplat,
  max,
  mul,
  notEqual,
  promote,
  replaceLane,
  result,
  select,
  shiftLeft,
  splat,
  sqrt,
  sub,
  trailingZeros,
  type Body,
  type Local,
  type Routine,
  type SimdModule,
  type Value,
} from '../../simd/index.js';
import { TILE, type MemoryLayout, type Scratch, type TileScratch } from './layout.js';
import { PASSES, type Pass } from './passes.js';

/** A responsibility of 10⁻¹⁰ or less is none. */
export const NEGLIGIBLE = Math.log(1e10);
/** Pairs are dismissed a little later than that, for the rounding of the bounds. */
export const DISMISSED = NEGLIGIBLE + 0.1;

export interface ExpectationNames {
  pass: Pass;
  distance: Routine;
  /** Addresses of the components' means and factors, and bytes from one factor to the next. */
  means: number;
  factors: number;
  factorStride: number;
  /** Where the rows are. */
  data: number;
  /** k-means: only the nearest component counts. */
  hard: boolean;
  /** What takes the place of `evaluateList`, if anything does. */
  evaluate?: Routine | undefined;
}

/**
 * k-means++: every row's distance to one further centre, kept where it is the nearest yet. `bestLog` holds minus half
 * the squared distance; the first centre starts afresh.
 */
export function addSeeding(m: SimdModule, layout: MemoryLayout, distance: Routine): void {
  const parameters = { thread: 'i32', slot: 'i32', tiles: 'i32', rows: 'i32', centre: 'i32' } as const;
  m.routine(PASSES.seed.name, parameters, undefined, (f, { thread, slot, tiles, rows, centre }) => {
    const room = f.local('i32', add(mul(thread, layout.scratchBytes), layout.scratch));
    const mean = f.local('i32', add(mul(centre, layout.rowBytes), layout.centres));
    eachTile(f, layout, tiles, t => {
      const tile = locate(f, layout, layout.data, slot, t, rows);
      f.range(0, tile.count, 4, n => {
        const first = f.local('i32', add(tile.rows, mul(n, layout.rowBytes)));
        const four = [0, 1, 2, 3].map(i => add(first, i * layout.rowBytes));
        const limit = constant('f32x4', Infinity);
        const squared = result(
          'f32x4',
          distance,
          ...four,
          mean,
          i32(layout.ones),
          add(room, layout.offsets.centred),
          limit,
        );
        const log = f.local('f32x4', mul(squared, -0.5));
        const at = f.local('i32', add(tile.bestLog, shiftLeft(n, 2)));
        f.if(notEqual(centre, 0), () => f.set(log, max(log, load('f32x4', at))));
        f.store(at, log);
      });
    });
  });
}

type I = Value<'i32'>;

/** Addresses of one tile's parts. */
interface Tile {
  rows: Local<'i32'>;
  distances: Local<'i32'>;
  best: Local<'i32'>;
  bestLog: Local<'i32'>;
  logDensity: Local<'i32'>;
  count: Local<'i32'>;
}

/**
 * The E-step over tiles of rows. For each row its likeliest component of the last iteration is evaluated first; then,
 * component by component, those pairs that the bounds cannot dismiss. What is dismissed has a responsibility below
 * 10⁻¹⁰. Leaves the squared distances (or bounds), each row's log density and likeliest component, and tile sums.
 *
 * A component's turn comes for all tiles of a batch before that of the next: its factor is read from far away once for the
 * batch, not for each tile's few rows.
 */
export function addExpectation(m: SimdModule, layout: MemoryLayout, names: ExpectationNames): void {
  const scratch = layout.offsets;
  const evaluate = names.evaluate ?? evaluateList(m, layout, scratch, names);
  const scan = scanBounds(m, layout, names);
  const density = names.hard ? nearestSum(m) : logDensities(m, layout);
  const parameters = { thread: 'i32', slot: 'i32', tiles: 'i32', rows: 'i32', components: 'i32' } as const;
  m.routine(names.pass.name, parameters, undefined, (f, { thread, slot, tiles, rows, components }) => {
    const room = f.local('i32', add(mul(thread, layout.scratchBytes), layout.scratch));
    const list = f.local('i32', add(room, scratch.list));
    const batches = f.local('i32', div(add(tiles, layout.batchTiles - 1), i32(layout.batchTiles)));
    eachTile(f, layout, batches, batch => {
      const first = f.local('i32', mul(batch, layout.batchTiles));
      const end = f.local('i32', add(first, layout.batchTiles));
      f.if(greater(end, tiles), () => f.set(end, tiles));
      const eachOfBatch = (body: (tile: Tile, own: Local<'i32'>, t: Local<'i32'>) => void): void =>
        f.range(first, end, 1, t => {
          const own = f.local('i32', add(mul(sub(t, first), layout.tileScratchBytes), add(room, scratch.tiles)));
          body(locate(f, layout, names.data, slot, t, rows), own, t);
        });
      eachOfBatch((tile, own) => begin(f, layout.tileOffsets, tile, own, components));
      f.range(0, components, 1, k =>
        eachOfBatch((tile, own) => {
          const { order, counts } = layout.tileOffsets;
          const before = f.local('i32', load('i32', add(own, shiftLeft(k, 2)), counts));
          const group = f.local('i32', sub(load('i32', add(own, shiftLeft(k, 2)), counts + 4), before));
          const members = f.local('i32', add(add(own, order), shiftLeft(before, 2)));
          f.call(evaluate, room, members, group, k, tile.rows, tile.distances, tile.best, tile.bestLog);
        }),
      );
      f.range(0, components, 1, k =>
        eachOfBatch((tile, own) => {
          const found = result('i32', scan, own, list, tile.count, k, tile.distances, tile.bestLog);
          const candidates = f.local('i32', found);
          f.call(evaluate, room, list, candidates, k, tile.rows, tile.distances, tile.best, tile.bestLog);
        }),
      );
      eachOfBatch((tile, _, t) => {
        const sum = result('f64', density, tile.count, components, tile.distances, tile.bestLog, tile.logDensity);
        f.store(add(shiftLeft(add(slot, t), 3), layout.tileSums), sum);
      });
    });
  });
}

/** Runs `body` for tile after tile, or other pieces, whichever thread is free. */
export function eachTile(f: Body, { next }: MemoryLayout, tiles: I, body: (t: Local<'i32'>) => void): void {
  const t = f.local('i32', fetchAdd(i32(next), 1));
  f.while(less(t, tiles), () => {
    body(t);
    f.set(t, fetchAdd(i32(next), 1));
  });
}

/** `slot`: the block's first tile among all; `t`: the tile within the block. */
export function locate(f: Body, layout: MemoryLayout, data: number, slot: I, t: I, rows: I): Tile {
  const kept = layout.keepDistances ? add(slot, t) : t;
  const perRow = (base: number): Local<'i32'> => f.local('i32', add(mul(add(slot, t), TILE * 4), base));
  const count = f.local('i32', sub(rows, mul(t, TILE)));
  f.if(greater(count, TILE), () => f.set(count, TILE));
  return {
    rows: f.local('i32', add(mul(t, TILE * layout.rowBytes), data)),
    distances: f.local('i32', add(mul(kept, layout.components * TILE * 4), layout.distances)),
    best: perRow(layout.best),
    bestLog: perRow(layout.bestLog),
    logDensity: perRow(layout.logDensity),
    count,
  };
}

/** Sorts the tile's rows by their former component; nothing is known yet about this iteration. */
function begin(f: Body, scratch: TileScratch, tile: Tile, room: Local<'i32'>, components: Local<'i32'>): void {
  const starts = f.local('i32', add(room, scratch.counts));
  const counts = f.local('i32', add(starts, 4));
  f.clear(starts, shiftLeft(add(components, 1), 2));
  f.range(0, tile.count, 1, n => {
    const component = f.local('i32', load('i32', add(tile.best, shiftLeft(n, 2))));
    f.store(add(room, shiftLeft(n, 2)), component, scratch.former);
    f.store(add(tile.bestLog, shiftLeft(n, 2)), constant('f32', -Infinity));
    increment(f, add(counts, shiftLeft(component, 2)));
  });
  // Lanes behind the last row: as likely as can be, so that no bound ever admits them.
  f.range(tile.count, and(add(tile.count, 3), -4), 1, n => {
    f.store(add(tile.bestLog, shiftLeft(n, 2)), constant('f32', Infinity));
    f.store(add(tile.logDensity, shiftLeft(n, 2)), constant('f32', Infinity));
    f.store(add(room, shiftLeft(n, 2)), i32(-1), scratch.former);
  });
  const start = f.local('i32', 0);
  f.range(0, components, 1, k => {
    const at = f.local('i32', add(counts, shiftLeft(k, 2)));
    const size = f.local('i32', load('i32', at));
    f.store(at, start);
    f.set(start, add(start, size));
  });
  f.range(0, tile.count, 1, n => {
    const component = load('i32', add(room, shiftLeft(n, 2)), scratch.former);
    const at = f.local('i32', add(counts, shiftLeft(component, 2)));
    f.store(add(room, shiftLeft(load('i32', at), 2)), n, scratch.order);
    increment(f, at);
  });
}

function increment(f: Body, address: Value<'i32'>): void {
  const at = f.local('i32', address);
  f.store(at, add(load('i32', at), 1));
}

/** Parameters of `evaluateList`. */
export const EVALUATE = {
  room: 'i32',
  list: 'i32',
  count: 'i32',
  k: 'i32',
  rows: 'i32',
  distances: 'i32',
  best: 'i32',
  bestLog: 'i32',
} as const;

/** Distances of the listed rows to component k; keeps each row's likeliest component up to date. */
function evaluateList(m: SimdModule, layout: MemoryLayout, scratch: Scratch, names: ExpectationNames): Routine {
  return m.routine(undefined, EVALUATE, undefined, (f, { room, list, count, k, rows, distances, best, bestLog }) => {
    f.if(equal(count, 0), () => f.return());
    const mean = f.local('i32', add(mul(k, layout.rowBytes), names.means));
    const factor = f.local('i32', add(mul(k, names.factorStride), names.factors));
    const column = f.local('i32', add(distances, mul(k, TILE * 4)));
    const c = f.local('f32', constantOf(layout, names, k));
    const last = f.local('i32', sub(count, 1));
    f.range(0, count, 4, at => {
      // Behind the list's end its last row is evaluated again, to the same effect.
      const index = [0, 1, 2, 3].map(i => {
        const position = f.local('i32', add(at, i));
        f.if(greater(position, last), () => f.set(position, last));
        return f.local('i32', load('i32', add(list, shiftLeft(position, 2))));
      });
      const limits = index.reduce<Value<'f32x4'>>(
        (limit, n, i) => replaceLane(limit, i, load('f32', add(bestLog, shiftLeft(n, 2)))),
        constant('f32x4', 0),
      );
      const limit = f.local('f32x4', limitOf(splat('f32x4', c), limits, names.hard));
      const pointers = index.map(n => f.local('i32', add(rows, mul(n, layout.rowBytes))));
      const distance = f.local(
        'f32x4',
        result('f32x4', names.distance, ...pointers, mean, factor, add(room, scratch.centred), limit),
      );
      index.forEach((n, i) => {
        const squared = f.local('f32', lane(distance, i));
        f.store(add(column, shiftLeft(n, 2)), squared);
        const log = f.local('f32', sub(c, mul(squared, 0.5)));
        f.if(greater(log, load('f32', add(bestLog, shiftLeft(n, 2)))), () => {
          f.store(add(bestLog, shiftLeft(n, 2)), log);
          f.store(add(best, shiftLeft(n, 2)), k);
        });
      });
    });
  });
}

/** The squared distance from which on a pair is negligible beside a row's likeliest component. */
function limitOf(c: Value<'f32x4'>, bestLog: Value<'f32x4'>, hard: boolean): Value<'f32x4'> {
  return mul(sub(add(c, hard ? 0 : DISMISSED), bestLog), 2);
}

const constantOf = (layout: MemoryLayout, { hard }: ExpectationNames, k: I): Value<'f32'> =>
  hard ? constant('f32', 0) : load('f32', add(shiftLeft(k, 2), layout.constants));

/** Moves component k's old distances to lower bounds of the new ones, and lists the rows that these can't dismiss. */
function scanBounds(m: SimdModule, layout: MemoryLayout, names: ExpectationNames): Routine {
  const parameters = {
    own: 'i32',
    list: 'i32',
    count: 'i32',
    k: 'i32',
    distances: 'i32',
    bestLog: 'i32',
  } as const;
  return m.routine(undefined, parameters, 'i32', (f, { own, list, count, k, distances, bestLog }) => {
    const next = f.local('i32', list);
    const column = f.local('i32', add(distances, mul(k, TILE * 4)));
    const decay = f.local('f32x4', loadSplat('f32x4', add(shiftLeft(k, 2), layout.decay)));
    const drift = f.local('f32x4', loadSplat('f32x4', add(shiftLeft(k, 2), layout.drift)));
    const c = f.local('f32x4', splat('f32x4', constantOf(layout, names, k)));
    const component = f.local('i32x4', splat('i32x4', k));
    const bits = f.local('i32');
    f.range(0, shiftLeft(count, 2), 16, at => {
      const known = f.local('f32x4', load('f32x4', add(column, at)));
      const moved = f.local('f32x4', max(sub(mul(sqrt(known), decay), drift), lift('f32x4', 0)));
      const former = load('i32x4', add(own, at), layout.tileOffsets.former);
      // Evaluated in this iteration already: exact, and no candidate.
      const exact = f.local('mask', equal(former, component));
      const bound = f.local('f32x4', select(known, mul(moved, moved), exact));
      f.store(add(column, at), bound);
      const limit = limitOf(c, load('f32x4', add(bestLog, at)), names.hard);
      f.set(bits, bitmask(andNot(less(bound, limit), exact)));
      f.while(notEqual(bits, 0), () => {
        f.store(next, add(trailingZeros(bits), quarter(at)));
        f.set(next, add(next, 4));
        f.set(bits, and(bits, sub(bits, 1)));
      });
    });
    f.return(quarter(sub(next, list)));
  });
}

const quarter = (x: I): I => ({ type: 'i32', code: [...x.code, ...i32(2).code, 0x76] });

/** Log-sum-exp over the components that matter, from the largest: no exponential can overflow. */
function logDensities(m: SimdModule, layout: MemoryLayout): Routine {
  const parameters = { count: 'i32', components: 'i32', distances: 'i32', bestLog: 'i32', logDensity: 'i32' } as const;
  return m.routine(undefined, parameters, 'f64', (f, { count, components, distances, bestLog, logDensity }) => {
    const total = f.local('f64', 0);
    f.range(0, count, 4, n => {
      const at = f.local('i32', shiftLeft(n, 2));
      const largest = f.local('f32x4', load('f32x4', add(bestLog, at)));
      const sum = f.local('f32x4', 0);
      const column = f.local('i32', add(distances, at));
      f.range(0, shiftLeft(components, 2), 4, k => {
        const c = loadSplat('f32x4', k, layout.constants);
        const x = f.local('f32x4', sub(sub(c, mul(load('f32x4', column), 0.5)), largest));
        const matters = f.local('mask', greater(x, -NEGLIGIBLE));
        f.if(anyTrue(matters), () => f.set(sum, add(sum, masked(exp(f, x), matters))));
        f.set(column, add(column, TILE * 4));
      });
      [0, 1, 2, 3].forEach(i => {
        f.if(less(add(n, i), count), () => {
          const log = result('f64', m.log, promote(lane(sum, i)));
          const density = f.local('f64', add(promote(lane(largest, i)), log));
          f.store(add(add(logDensity, at), 4 * i), demote(density));
          f.set(total, add(total, density));
        });
      });
    });
    f.return(total);
  });
}

const masked = (x: Value<'f32x4'>, where: Value<'mask'>): Value<'f32x4'> => select(x, constant('f32x4', 0), where);

/** k-means: the sum over rows of minus half the squared distance to the nearest centre. */
function nearestSum(m: SimdModule): Routine {
  const parameters = { count: 'i32', components: 'i32', distances: 'i32', bestLog: 'i32', logDensity: 'i32' } as const;
  return m.routine(undefined, parameters, 'f64', (f, { count, bestLog }) => {
    const total = f.local('f64', 0);
    f.range(0, count, 1, n => f.set(total, add(total, promote(load('f32', add(bestLog, shiftLeft(n, 2)))))));
    f.return(total);
  });
}

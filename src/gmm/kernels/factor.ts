import {
  add,
  and,
  atLeast,
  constant,
  demote,
  div,
  equal,
  greater,
  i32,
  lane,
  less,
  load,
  loadSplat,
  mul,
  mulAdd,
  promote,
  promoteLow,
  result,
  shiftLeft,
  shuffle,
  splat,
  sqrt,
  sub,
  type Body,
  type Local,
  type Routine,
  type SimdModule,
  type Value,
} from '../../simd/index.js';
import { eachTile } from './expectation.js';
import type { MemoryLayout, Scratch } from './layout.js';
import { PASSES } from './passes.js';

type I = Value<'i32'>;

/**
 * Sums → covariance → triangular factor, for one component after the other, in double precision; of components before
 * `first` and from `end` on, whose factors other ranks compute, only the covariance. Beside the factors: log det,
 * whether the covariance is positive definite, and by how much Mahalanobis distances can have fallen since the
 * former covariance, so that the E-step may dismiss pairs unseen. `drifts`: each factor is one component's own, which
 * also gives how far the component's mean has moved in its metric.
 */
export function addFactorisation(m: SimdModule, layout: MemoryLayout, { drifts }: { drifts: boolean }): void {
  const scratch = layout.offsets;
  const { width, rowBytes } = layout;
  const square = width * width * 8;
  const cholesky = addCholesky(m, layout);
  const invert = addInverse(m, layout, scratch);
  const growth = layout.keepCovariances ? addGrowth(m, layout, scratch, cholesky) : undefined;
  const parameters = {
    thread: 'i32',
    components: 'i32',
    first: 'i32',
    end: 'i32',
    regularisation: 'f64',
    bounded: 'i32',
  } as const;
  const factorise = m.routine(
    undefined,
    { room: 'i32', k: 'i32', bounded: 'i32' },
    undefined,
    (f, { room, k, bounded }) => {
      const covariance = f.local('i32', add(mul(k, square), layout.scatter));
      const matrix = f.local('i32', add(room, scratch.matrix));
      const factor = f.local('i32', add(mul(k, layout.factorBytes), layout.factors));
      const direction = f.local('i32', add(mul(k, rowBytes), layout.directions));
      const word = f.local('i32', shiftLeft(k, 2));
      if (growth) {
        const previous = f.local('i32', add(mul(k, square), layout.previous));
        f.store(word, constant('f32', 0), layout.decay);
        f.if(bounded, () =>
          f.store(word, result('f32', growth, room, covariance, previous, factor, direction), layout.decay),
        );
        copy(f, covariance, previous, square);
      } else f.store(word, constant('f32', 0), layout.decay);
      copy(f, covariance, matrix, square);
      const definite = f.local('i32', result('i32', cholesky, matrix, add(room, scratch.diagonal)));
      f.store(word, definite, layout.definite);
      f.if(definite, () => {
        f.store(shiftLeft(k, 3), logDeterminant(f, m, layout, matrix), layout.logDeterminants);
        f.call(invert, room, factor);
        if (drifts) f.store(word, drift(f, layout, scratch, room, k, factor), layout.drift);
      });
    },
  );
  m.routine('factorise', parameters, undefined, (f, { thread, components, first, end, regularisation, bounded }) => {
    const room = f.local('i32', add(mul(thread, layout.scratchBytes), layout.scratch));
    eachTile(f, layout, components, k => {
      finishCovariance(f, layout, f.local('i32', add(mul(k, square), layout.scatter)), k, regularisation);
      f.if(and(atLeast(k, first), less(k, end)), () => f.call(factorise, room, k, bounded));
    });
  });
}

/** scatter / count − shift shiftᵀ + regularisation on the diagonal, both triangles; padding becomes the identity. */
function finishCovariance(f: Body, layout: MemoryLayout, matrix: I, k: I, regularisation: Value<'f64'>): void {
  const { width, dims } = layout;
  const inverse = f.local('f64', load('f64', shiftLeft(k, 3), layout.inverseCounts));
  const shift = f.local('i32', add(mul(k, width * 8), layout.shift));
  f.range(0, width, 1, i => {
    const row = f.local('i32', add(matrix, mul(i, width * 8)));
    const ownShift = f.local('f64', load('f64', add(shift, shiftLeft(i, 3))));
    f.range(0, add(i, 1), 1, j => {
      const at = f.local('i32', add(row, shiftLeft(j, 3)));
      const product = mul(ownShift, load('f64', add(shift, shiftLeft(j, 3))));
      const value = f.local('f64', sub(mul(load('f64', at), inverse), product));
      f.store(at, value);
      f.store(add(matrix, add(mul(j, width * 8), shiftLeft(i, 3))), value);
    });
    const diagonal = f.local('i32', add(row, shiftLeft(i, 3)));
    f.store(diagonal, add(load('f64', diagonal), regularisation));
    f.if(atLeast(i, dims), () => f.store(diagonal, constant('f64', 1)));
  });
}

function copy(f: Body, from: I, to: I, bytes: number): void {
  f.range(0, bytes, 16, j => f.store(add(to, j), load('f64x2', add(from, j))));
}

/**
 * Lower L with A = L Lᵀ in place of A's lower triangle (the upper keeps what it held); 1 where A is positive definite.
 * Row by row: four inner products at a time over what is known of both rows, then the 4 × 4 corner one by one.
 */
function addCholesky(m: SimdModule, { width }: MemoryLayout): Routine {
  const rowBytes = width * 8;
  const parameters = { matrix: 'i32', inverses: 'i32' } as const;
  return m.routine(undefined, parameters, 'i32', (f, { matrix, inverses }) => {
    const row = f.local('i32', matrix);
    f.range(0, width, 1, i => {
      const other = f.local('i32', matrix);
      f.range(0, add(i, 1), 4, block => {
        const sums = [0, 1, 2, 3].map(() => f.local('f64x2', 0));
        f.range(0, shiftLeft(block, 3), 16, at => {
          const x = f.local('f64x2', load('f64x2', add(row, at)));
          const y = f.local('i32', add(other, at));
          sums.forEach((sum, c) => f.set(sum, mulAdd(x, load('f64x2', y, c * rowBytes), sum)));
        });
        const corner = f.local('i32', add(row, shiftLeft(block, 3)));
        const across = f.local('i32', add(other, shiftLeft(block, 3)));
        const done: Local<'f64'>[] = [];
        sums.forEach((sum, c) => {
          const column = f.local('i32', add(block, c));
          let value: Value<'f64'> = sub(load('f64', corner, 8 * c), add(lane(sum, 0), lane(sum, 1)));
          done.forEach((x, e) => (value = sub(value, mul(x, load('f64', across, c * rowBytes + 8 * e)))));
          const rest = f.local('f64', value);
          const x = f.local('f64', 0);
          f.if(less(column, i), () => {
            f.set(x, mul(rest, load('f64', add(inverses, shiftLeft(column, 3)))));
            f.store(corner, x, 8 * c);
          });
          f.if(equal(column, i), () => {
            // Also if it is NaN.
            f.if(
              greater(rest, 0),
              () => undefined,
              () => f.return(i32(0)),
            );
            const root = f.local('f64', sqrt(rest));
            f.store(corner, root, 8 * c);
            f.store(add(inverses, shiftLeft(i, 3)), div(constant('f64', 1), root));
          });
          done.push(x);
        });
        f.set(other, add(other, 4 * rowBytes));
      });
      f.set(row, add(row, rowBytes));
    });
    f.return(i32(1));
  });
}

function logDeterminant(f: Body, m: SimdModule, { width }: MemoryLayout, matrix: I): Value<'f64'> {
  const sum = f.local('f64', 0);
  f.range(0, width, 1, i => {
    f.set(sum, add(sum, result('f64', m.log, load('f64', add(matrix, mul(i, width * 8 + 8))))));
  });
  return mul(sum, 2);
}

/** The inverse of the lower factor in the scratch's `matrix`, transposed and packed as the distance kernel reads it. */
function addInverse(m: SimdModule, { width }: MemoryLayout, scratch: Scratch): Routine {
  const rowBytes = width * 8;
  return m.routine(undefined, { room: 'i32', factor: 'i32' }, undefined, (f, { room, factor }) => {
    const inverse = f.local('i32', add(room, scratch.inverse));
    f.clear(inverse, width * rowBytes);
    const target = f.local('i32', inverse);
    const row = f.local('i32', add(room, scratch.matrix));
    f.range(0, width, 1, i => {
      const scale = f.local('f64', load('f64', add(room, shiftLeft(i, 3)), scratch.diagonal));
      const source = f.local('i32', inverse);
      f.range(0, i, 1, k => {
        const weight = f.local('f64x2', splat('f64x2', mul(load('f64', add(row, shiftLeft(k, 3))), scale)));
        f.range(0, shiftLeft(add(k, 1), 3), 16, at => {
          const to = f.local('i32', add(target, at));
          f.store(to, sub(load('f64x2', to), mul(weight, load('f64x2', add(source, at)))));
        });
        f.set(source, add(source, rowBytes));
      });
      f.store(add(target, shiftLeft(i, 3)), scale);
      f.set(target, add(target, rowBytes));
      f.set(row, add(row, rowBytes));
    });
    // Column block b: for each input j up to the block's end, the eight outputs.
    const to = f.local('i32', factor);
    f.range(0, width, 8, block => {
      f.range(0, add(block, 8), 1, j => {
        const from = f.local('i32', add(inverse, add(mul(block, rowBytes), shiftLeft(j, 3))));
        for (let c = 0; c < 8; c++) f.store(to, demote(load('f64', from, c * rowBytes)), 4 * c);
        f.set(to, add(to, 32));
      });
    });
  });
}

/** |Uᵀ shift|: how far, in its own metric, a component's mean has moved; a little more, for the rounding. */
function drift(f: Body, layout: MemoryLayout, scratch: Scratch, room: I, k: I, factor: I): Value<'f32'> {
  const shift = f.local('i32', add(mul(k, layout.width * 8), layout.shift));
  const vector = f.local('i32', add(room, scratch.sums));
  f.range(0, layout.width, 1, j =>
    f.store(add(vector, shiftLeft(j, 2)), demote(load('f64', add(shift, shiftLeft(j, 3))))),
  );
  const norm = outputs(f, layout, factor, vector);
  return add(mul(sqrt(norm), 1.0001), 1e-5);
}

/** Uᵀ x for f32 vectors; gives |Uᵀ x|² and, where asked, leaves the outputs at `to`. */
function outputs(f: Body, { width }: MemoryLayout, factor: I, x: I, to?: I): Value<'f32'> {
  const u = f.local('i32', factor);
  const squares = f.local('f32x4', 0);
  f.range(0, width, 8, block => {
    const sums = [f.local('f32x4', 0), f.local('f32x4', 0)];
    f.range(0, shiftLeft(add(block, 8), 2), 4, j => {
      const value = f.local('f32x4', loadSplat('f32x4', add(x, j)));
      sums.forEach((sum, c) => f.set(sum, mulAdd(value, load('f32x4', u, 16 * c), sum)));
      f.set(u, add(u, 32));
    });
    sums.forEach((sum, c) => {
      f.set(squares, mulAdd(sum, sum, squares));
      if (to) f.store(add(to, shiftLeft(block, 2)), sum, 16 * c);
    });
  });
  return add(add(lane(squares, 0), lane(squares, 1)), add(lane(squares, 2), lane(squares, 3)));
}

const POWER_STEPS = 8;
const ATTEMPTS = 5;

/**
 * 1/√λ for a λ with Σ ≼ λ Σ₀: then every distance in the metric of Σ is at least 1/√λ times that in the metric of Σ₀.
 * λ is guessed by power iteration on U₀ᵀ Σ U₀ and proved by the Cholesky factorisation of λΣ₀ − Σ. 0 where no proof
 * is found: nothing is known then.
 */
function addGrowth(m: SimdModule, layout: MemoryLayout, scratch: Scratch, cholesky: Routine): Routine {
  const { width } = layout;
  const parameters = { room: 'i32', covariance: 'i32', previous: 'i32', factor: 'i32', direction: 'i32' } as const;
  return m.routine(undefined, parameters, 'f32', (f, { room, covariance, previous, factor, direction }) => {
    const guess = f.local('f32', 0);
    f.range(0, POWER_STEPS, 1, () => powerStep(f, layout, scratch, room, covariance, factor, direction, guess));
    const lambda = f.local('f64', promote(guess));
    const slack = f.local('f64', 1.05);
    const matrix = f.local('i32', add(room, scratch.matrix));
    f.range(0, ATTEMPTS, 1, () => {
      // Growth beyond one is what the guess may miss a part of.
      f.if(greater(lambda, 1), () => f.set(lambda, mulAdd(sub(lambda, 1), slack, constant('f64', 1))));
      f.set(lambda, mul(lambda, 1.0005));
      f.range(0, width * width * 8, 16, at => {
        const difference = sub(
          mul(load('f64x2', add(previous, at)), splat('f64x2', lambda)),
          load('f64x2', add(covariance, at)),
        );
        f.store(add(matrix, at), difference);
      });
      f.range(layout.dims, width, 1, i => f.store(add(matrix, mul(i, width * 8 + 8)), constant('f64', 1)));
      f.if(result('i32', cholesky, matrix, add(room, scratch.diagonal)), () =>
        f.return(demote(div(constant('f64', 0.99999), sqrt(lambda)))),
      );
      f.set(slack, add(slack, 0.5));
    });
    f.return(constant('f32', 0));
  });
}

/** direction ← U₀ᵀ Σ U₀ direction, normalised; `norm` gets the length before. */
function powerStep(
  f: Body,
  layout: MemoryLayout,
  scratch: Scratch,
  room: I,
  covariance: I,
  factor: I,
  direction: I,
  norm: Local<'f32'>,
): void {
  const { width } = layout;
  const vector = f.local('i32', add(room, scratch.vector));
  const rounded = f.local('i32', add(room, scratch.sums));
  // v = U₀ s, in double precision.
  const u = f.local('i32', factor);
  f.clear(vector, width * 8);
  f.range(0, width, 8, block => {
    const parts = [0, 16].map(at => f.local('f32x4', load('f32x4', add(direction, shiftLeft(block, 2)), at)));
    f.range(0, add(block, 8), 1, j => {
      const products = f.local('f32x4', mulAdd(load('f32x4', u), parts[0], mul(load('f32x4', u, 16), parts[1])));
      const low = f.local('f64x2', add(promoteLow(products), promoteLow(shuffle(products, products, [2, 3, 2, 3]))));
      const at = f.local('i32', add(vector, shiftLeft(j, 3)));
      f.store(at, add(load('f64', at), add(lane(low, 0), lane(low, 1))));
      f.set(u, add(u, 32));
    });
  });
  // w = Σ v
  const row = f.local('i32', covariance);
  f.range(0, width * 4, 4, i => {
    const sum = f.local('f64x2', 0);
    f.range(0, width * 8, 16, at =>
      f.set(sum, mulAdd(load('f64x2', add(row, at)), load('f64x2', add(vector, at)), sum)),
    );
    f.store(add(rounded, i), demote(add(lane(sum, 0), lane(sum, 1))));
    f.set(row, add(row, width * 8));
  });
  f.set(norm, sqrt(outputs(f, layout, factor, rounded, direction)));
  const inverse = f.local('f32x4', splat('f32x4', div(constant('f32', 1), norm)));
  f.range(0, width * 4, 16, at => f.store(add(direction, at), mul(load('f32x4', add(direction, at)), inverse)));
}

/** Whitens the block's rows by the tied factor: z = Uᵀ x, so that every component's covariance is the identity. */
export function addWhitening(m: SimdModule, layout: MemoryLayout): void {
  const { rowBytes } = layout;
  const parameters = { thread: 'i32', slot: 'i32', tiles: 'i32', rows: 'i32', components: 'i32' } as const;
  const chunk = 64;
  m.routine(PASSES.whiten.name, parameters, undefined, (f, { rows }) => {
    const pieces = f.local('i32', div(add(rows, chunk - 1), i32(chunk)));
    eachTile(f, layout, pieces, piece => {
      const first = f.local('i32', mul(piece, chunk));
      const last = f.local('i32', add(first, chunk));
      f.if(greater(last, rows), () => f.set(last, rows));
      f.range(first, last, 1, n => {
        const at = f.local('i32', mul(n, rowBytes));
        const norm = f.local('f32');
        f.set(norm, outputs(f, layout, i32(layout.factors), add(at, layout.data), add(at, layout.whitened)));
      });
    });
  });
}

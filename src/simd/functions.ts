import type { Body } from './module.js';
import { add, asFloat, lift, mul, mulAdd, nearest, shiftLeft, shuffle, sub, toInteger, type Value } from './values.js';

/** [Σ a, Σ b, Σ c, Σ d] over the lanes of each. */
export function laneSums(f: Body, [a, b, c, d]: readonly Value<'f32x4'>[]): Value<'f32x4'> {
  const low = f.local('f32x4', add(shuffle(a, b, [0, 4, 1, 5]), shuffle(a, b, [2, 6, 3, 7])));
  const high = f.local('f32x4', add(shuffle(c, d, [0, 4, 1, 5]), shuffle(c, d, [2, 6, 3, 7])));
  return add(shuffle(low, high, [0, 1, 4, 5]), shuffle(low, high, [2, 3, 6, 7]));
}

/** The columns of four vectors, as vectors. */
export function transposed(f: Body, [a, b, c, d]: readonly Value<'f32x4'>[]): Value<'f32x4'>[] {
  const mixed = (x: Value<'f32x4'>, y: Value<'f32x4'>, order: number[]) => f.local('f32x4', shuffle(x, y, order));
  const [low, high] = [
    [0, 4, 1, 5],
    [2, 6, 3, 7],
  ].map(order => [mixed(a, b, order), mixed(c, d, order)]);
  return [low, high].flatMap(([ab, cd]) => [shuffle(ab, cd, [0, 1, 4, 5]), shuffle(ab, cd, [2, 3, 6, 7])]);
}

/** eˣ to about 2e-7 relative, for −87 < x < 88; outside of it the result means nothing. */
export function exp(f: Body, x: Value<'f32x4'>): Value<'f32x4'> {
  const power = f.local('f32x4', nearest(mul(x, Math.LOG2E)));
  // ln 2 in two parts, the first with few bits, so that the remainder is exact.
  const rest = f.local('f32x4', sub(sub(x, mul(power, 0.693359375)), mul(power, -2.1219444005469057e-4)));
  const coefficients = [1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1, 1];
  const series = coefficients
    .slice(1)
    .reduce<Value<'f32x4'>>(
      (sum, coefficient) => mulAdd(sum, rest, lift('f32x4', coefficient)),
      lift('f32x4', coefficients[0]),
    );
  return mul(series, asFloat(shiftLeft(add(toInteger(power), 127), 23)));
}

/**
 * (s + c) − c: s as a multiple of about 2⁻⁵³ c. Such multiples that sum to less than c do so without rounding, in whatever order
 * (the first step of Demmel & Nguyen 2013, Fast reproducible floating-point summation).
 */
export function rounded<T extends 'f64' | 'f64x2'>(f: Body, s: Value<T>, c: Value<T>): Value<T> {
  const kept = f.local(c.type, c);
  return sub(add(s, kept), kept);
}

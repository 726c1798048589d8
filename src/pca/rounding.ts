import type { GramPrecision } from './kernel.js';

/**
 * What rounding leaves of an eigenvalue that is zero, as a share of the largest: that of single-precision sums; with
 * double-precision ones that of the data themselves, whose singular values are known to 2⁻²⁴ and their squares to 2⁻⁴⁸,
 * once per axis as LAPACK's users count it.
 */
export const roundingShare = (precision: GramPrecision, axes: number): number =>
  precision === 'float32' ? 2 ** -23 : axes * 2 ** -48;

/** How many eigenvalues, descending, are more than rounding. A negative one can be nothing else, and so tells its size. */
export function numericalRank(values: Float64Array, share: number): number {
  const least = Math.max(share * values[0], -2 * values[values.length - 1], 0);
  let rank = 0;
  while (rank < values.length && values[rank] > least) rank++;
  return rank;
}

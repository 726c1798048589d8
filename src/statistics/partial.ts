import { NORMAL_95 } from './normal.js';
import { ranks } from './rank-correlation.js';

/**
 * Spearman's partial correlation: of what is left of both sides' ranks once the ranks of `controls` have explained
 * what they can (least squares with a constant; R's ppcor gives the same). NaN where nothing is left of one side.
 */
export function partialSpearman(
  x: readonly number[],
  y: readonly number[],
  controls: readonly (readonly number[])[],
): number {
  const basis = orthogonal(controls.map(values => centred(ranks(values))));
  const [a, b] = [x, y].map(values => {
    const own = centred(ranks(values));
    const rest = without(own, basis);
    return isNothing(rest, own) ? own.map(() => 0) : rest;
  });
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/**
 * 95% interval of a partial rank correlation: Fisher's z with Bonett and Wright's variance (2000), one row less for each
 * control. Undefined where too few rows are left.
 */
export function partialInterval(
  correlation: number,
  rows: number,
  controls: number,
): [low: number, high: number] | undefined {
  const left = rows - controls - 3;
  if (left < 1 || Number.isNaN(correlation)) return undefined;
  const half = NORMAL_95 * Math.sqrt((1 + correlation ** 2 / 2) / left);
  const z = Math.atanh(correlation);
  return [Math.tanh(z - half), Math.tanh(z + half)];
}

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, value, i) => sum + value * b[i], 0);

function centred(values: readonly number[]): number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.map(value => value - mean);
}

/** Gram–Schmidt; what depends on the columns before it is left out. */
function orthogonal(columns: number[][]): number[][] {
  const basis: number[][] = [];
  for (const column of columns) {
    const rest = without(column, basis);
    if (isNothing(rest, column)) continue;
    const length = Math.sqrt(dot(rest, rest));
    basis.push(rest.map(value => value / length));
  }
  return basis;
}

/** Twice, since one pass leaves what rounding put there. */
function without(values: readonly number[], basis: readonly number[][]): number[] {
  const pass = (from: readonly number[]): number[] =>
    basis.reduce<number[]>(
      (rest, axis) => {
        const share = dot(rest, axis);
        return rest.map((value, i) => value - share * axis[i]);
      },
      [...from],
    );
  return pass(pass(values));
}

const isNothing = (rest: readonly number[], whole: readonly number[]): boolean =>
  dot(rest, rest) <= 1e-18 * dot(whole, whole);

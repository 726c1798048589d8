import type { RandomNumbers } from '../base/index.js';

/** Ranks from 1; equal values share the mean of theirs. */
export function ranks(values: readonly number[]): number[] {
  const order = ascending(values);
  const out = values.map(() => 0);
  for (let start = 0, end = 0; start < order.length; start = end) {
    while (end < order.length && values[order[end]] === values[order[start]]) end++;
    for (let place = start; place < end; place++) out[order[place]] = (start + 1 + end) / 2;
  }
  return out;
}

const ascending = (values: ArrayLike<number>): number[] =>
  Array.from(values, (_, i) => i).sort((a, b) => values[a] - values[b]);

function centredRanks(values: readonly number[]): number[] {
  const middle = (values.length + 1) / 2;
  return ranks(values).map(rank => rank - middle);
}

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, value, i) => sum + value * b[i], 0);

/** Spearman's rank correlation, ties at their mean ranks; NaN where one side is constant. */
export function spearman(x: readonly number[], y: readonly number[]): number {
  const [a, b] = [centredRanks(x), centredRanks(y)];
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** Ranks about their mean, of unit length: Spearman's coefficient is the product of two of these. */
function unitRanks(values: readonly number[]): number[] {
  const centred = centredRanks(values);
  const length = Math.hypot(...centred);
  return centred.map(value => value / length);
}

/** Kendall's τ-b; NaN where one side is constant. */
export function kendall(x: readonly number[], y: readonly number[]): number {
  let [agreeing, differX, differY] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    for (let j = 0; j < i; j++) {
      const [a, b] = [Math.sign(x[i] - x[j]), Math.sign(y[i] - y[j])];
      agreeing += a * b;
      differX += a * a;
      differY += b * b;
    }
  }
  return agreeing / Math.sqrt(differX * differY);
}

export interface PermutationTest {
  /** Two-sided: how often a random pairing of the two sides correlates at least as strongly. */
  p: number;
  /** The smallest p that any pairing of these values could have. */
  least: number;
}

/** Rounding of a sum of products of ranks. */
const ROUNDING = 1e-9;
/** Up to so many rows all pairings are gone through: 9! are 362,880. */
const EXACT_ROWS = 9;
const DRAWS = 20_000;

/** Permutation test of Spearman's coefficient: every pairing of few rows, random ones of more. */
export function permutationTest(x: readonly number[], y: readonly number[], random: RandomNumbers): PermutationTest {
  const [a, b] = [unitRanks(x), unitRanks(y)];
  const strengths = x.length <= EXACT_ROWS ? allPairings(a, b) : randomPairings(a, b, random);
  const observed = Math.abs(dot(a, b));
  const strongest = strengths.reduce((most, value) => Math.max(most, value), 0);
  const share = (threshold: number): number =>
    strengths.reduce((count, value) => count + (value >= threshold - ROUNDING ? 1 : 0), 0) / strengths.length;
  return { p: share(observed), least: share(strongest) };
}

function allPairings(a: readonly number[], b: readonly number[]): number[] {
  const strengths: number[] = [];
  const taken = b.map(() => false);
  const pair = (row: number, sum: number): void => {
    if (row === a.length) strengths.push(Math.abs(sum));
    for (let i = 0; i < b.length; i++) {
      if (taken[i]) continue;
      taken[i] = true;
      pair(row + 1, sum + a[row] * b[i]);
      taken[i] = false;
    }
  };
  pair(0, 0);
  return strengths;
}

/** The observed pairing is one of them, so that p is never 0. */
function randomPairings(a: readonly number[], b: readonly number[], random: RandomNumbers): number[] {
  const strengths = [Math.abs(dot(a, b))];
  for (let i = 1; i < DRAWS; i++) {
    const order = random.at(i).permutation(a.length);
    strengths.push(Math.abs(a.reduce((sum, value, row) => sum + value * b[order[row]], 0)));
  }
  return strengths;
}

const SIMULATIONS = 2000;
const BISECTIONS = 10;
const TAIL = 0.025;

/**
 * 95% interval of Spearman's coefficient: those correlations under which the observed one lies in neither tail. Ranks
 * are simulated under a Gaussian copula with the ties as they are, which holds for any number of rows: of few, a
 * bootstrap's intervals are far too narrow (of a perfect agreement it gives [1, 1] whatever the number).
 */
export function spearmanInterval(
  x: readonly number[],
  y: readonly number[],
  random: RandomNumbers,
): [low: number, high: number] {
  const observed = spearman(x, y);
  const simulated = simulation(x, y, random);
  const reaching = (value: number): number => simulated(value).filter(r => r >= observed - ROUNDING).length;
  const within = (value: number): number => simulated(value).filter(r => r <= observed + ROUNDING).length;
  return [
    populationSpearman(crossing(value => reaching(value) > TAIL * SIMULATIONS)),
    populationSpearman(crossing(value => within(value) <= TAIL * SIMULATIONS)),
  ];
}

/** Of the copula with correlation ρ (Kruskal 1958). */
const populationSpearman = (correlation: number): number => (6 / Math.PI) * Math.asin(correlation / 2);

/** Spearman's coefficients of as many rows with the same ties, drawn with this correlation, from the same numbers each time. */
function simulation(
  x: readonly number[],
  y: readonly number[],
  random: RandomNumbers,
): (correlation: number) => number[] {
  const sortedX = unitRanks(x).sort((a, b) => a - b);
  const sortedY = unitRanks(y).sort((a, b) => a - b);
  const draws = Array.from({ length: SIMULATIONS }, (_, i) => {
    const first = random.at(i, 0).normals(x.length);
    return { first, second: random.at(i, 1).normals(x.length), order: ascending(first) };
  });
  return correlation =>
    draws.map(({ first, second, order }) => {
      const own = Math.sqrt(1 - correlation ** 2);
      const related = first.map((value, i) => correlation * value + own * second[i]);
      const rankOfRow = new Array<number>(x.length);
      ascending(related).forEach((row, place) => (rankOfRow[row] = sortedY[place]));
      return order.reduce((sum, row, place) => sum + sortedX[place] * rankOfRow[row], 0);
    });
}

/** Where a condition becomes true between −1 and 1; −1 where it is true throughout. */
function crossing(isAbove: (value: number) => boolean): number {
  if (isAbove(-1)) return -1;
  if (!isAbove(1)) return 1;
  let [low, high] = [-1, 1];
  for (let i = 0; i < BISECTIONS; i++) {
    const middle = (low + high) / 2;
    if (isAbove(middle)) high = middle;
    else low = middle;
  }
  return (low + high) / 2;
}

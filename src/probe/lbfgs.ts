/** An objective at x; every call gives arrays of its own. */
export interface Evaluation {
  value: number;
  /** Differences of values below this are rounding. */
  noise: number;
  gradient: Float64Array;
  /** Estimate of the Hessian's diagonal, all positive: the better it is, the fewer steps are needed. */
  curvature: Float64Array;
  /** The quantity compared with `tolerance`. */
  steepest: number;
}

export type ObjectiveFunction = (x: Float64Array) => Promise<Evaluation>;

export interface LbfgsOptions {
  maxIterations: number;
  /** Stop when the objective's `steepest` is at most this. */
  tolerance: number;
}

export interface LbfgsResult {
  x: Float64Array;
  value: number;
  iterations: number;
  converged: boolean;
}

/** Pairs of steps and gradient changes that stand in for the Hessian: many, while they cost little memory. */
const [FEWEST_PAIRS, MOST_PAIRS] = [8, 30];
const PAIR_NUMBERS = 2 ** 24;
const ARMIJO = 1e-4;
const LEAST_CURVATURE = 1e-10;
const SHORTEST_STEP = 2 ** -20;

/**
 * Limited-memory BFGS (Liu & Nocedal 1989) with backtracking: minimises a smooth function from `start`. Its first guess
 * of the Hessian is the objective's own estimate at the present point, not the usual multiple of the identity.
 */
export async function lbfgs(
  objective: ObjectiveFunction,
  start: Float64Array,
  { maxIterations, tolerance }: LbfgsOptions,
): Promise<LbfgsResult> {
  let point: Point = { x: start, ...(await objective(start)) };
  const memory = Math.max(FEWEST_PAIRS, Math.min(MOST_PAIRS, Math.floor(PAIR_NUMBERS / start.length)));
  const pairs: Pair[] = [];
  let iterations = 0;
  while (point.steepest > tolerance && iterations < maxIterations) {
    const next = await search(objective, point, descent(point, pairs));
    if (!next) {
      // Rounding has spoilt the pairs, or there is nothing left to gain.
      if (pairs.length === 0) break;
      pairs.length = 0;
      continue;
    }
    const step = subtract(next.x, point.x);
    const change = subtract(next.gradient, point.gradient);
    const curvature = dot(step, change);
    // The cosine of the two, which no unit of either changes.
    if (curvature > LEAST_CURVATURE * Math.sqrt(dot(step, step) * dot(change, change))) {
      pairs.push({ step, change, curvature });
      if (pairs.length > memory) pairs.shift();
    }
    point = next;
    iterations++;
  }
  return { x: point.x, value: point.value, iterations, converged: point.steepest <= tolerance };
}

interface Pair {
  step: Float64Array;
  change: Float64Array;
  /** step · change > 0. */
  curvature: number;
}

interface Point extends Evaluation {
  x: Float64Array;
}

/**
 * Halves the step until the value falls enough; undefined where even a tiny step does not help. Within the values'
 * noise the slope decides instead (Hager & Zhang 2005, the approximate Wolfe condition): it must not have overshot.
 */
async function search(
  objective: ObjectiveFunction,
  { x, value, noise, gradient }: Point,
  direction: Float64Array,
): Promise<Point | undefined> {
  const slope = dot(direction, gradient);
  for (let size = 1; size >= SHORTEST_STEP; size /= 2) {
    const moved = x.slice();
    addScaled(moved, direction, size);
    const there = await objective(moved);
    const fallsEnough = there.value <= value + ARMIJO * size * slope;
    const isLevel = there.value <= value + noise;
    const hasNotOvershot = dot(there.gradient, direction) <= (2 * ARMIJO - 1) * slope;
    if (fallsEnough || (isLevel && hasNotOvershot)) return { x: moved, ...there };
  }
  return undefined;
}

/** The two-loop recursion: minus the inverse Hessian's estimate times the gradient. */
function descent({ gradient, curvature: diagonal }: Point, pairs: Pair[]): Float64Array {
  const q = gradient.map(entry => -entry);
  const along = new Array<number>(pairs.length);
  for (let i = pairs.length - 1; i >= 0; i--) {
    const { step, change, curvature } = pairs[i];
    along[i] = dot(step, q) / curvature;
    addScaled(q, change, -along[i]);
  }
  const scale = scaleOf(diagonal, pairs.at(-1));
  for (let i = 0; i < q.length; i++) q[i] *= scale / diagonal[i];
  for (let i = 0; i < pairs.length; i++) {
    const { step, change, curvature } = pairs[i];
    addScaled(q, step, along[i] - dot(change, q) / curvature);
  }
  return q;
}

/** The factor of the inverse diagonal that fits the curvature met last; it saves the search from halving. */
function scaleOf(diagonal: Float64Array, newest: Pair | undefined): number {
  if (!newest) return 1;
  let sum = 0;
  for (let i = 0; i < diagonal.length; i++) sum += newest.change[i] ** 2 / diagonal[i];
  return newest.curvature / sum;
}

/** Four sums, since each addition waits for the one before. */
function dot(a: Float64Array, b: Float64Array): number {
  const whole = a.length - (a.length % 4);
  let [p, q, r, s] = [0, 0, 0, 0];
  for (let i = 0; i < whole; i += 4) {
    p += a[i] * b[i];
    q += a[i + 1] * b[i + 1];
    r += a[i + 2] * b[i + 2];
    s += a[i + 3] * b[i + 3];
  }
  for (let i = whole; i < a.length; i++) p += a[i] * b[i];
  return p + q + (r + s);
}

function addScaled(a: Float64Array, b: Float64Array, scale: number): void {
  for (let i = 0; i < a.length; i++) a[i] += scale * b[i];
}

function subtract(a: Float64Array, b: Float64Array): Float64Array {
  const difference = new Float64Array(a.length);
  for (let i = 0; i < a.length; i++) difference[i] = a[i] - b[i];
  return difference;
}

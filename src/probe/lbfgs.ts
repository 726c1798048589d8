/** Value and gradient of an objective at x. The gradient may be reused memory: it is copied before the next call. */
export type Objective = (x: Float64Array) => Promise<{ value: number; gradient: Float64Array }>;

export interface LbfgsOptions {
  maxIterations: number;
  /** Stop when the largest entry of the gradient is at most this. */
  tolerance: number;
  /** Pairs of steps and gradient changes that stand in for the Hessian. */
  memory?: number;
}

export interface LbfgsResult {
  x: Float64Array;
  value: number;
  iterations: number;
  converged: boolean;
}

const ARMIJO = 1e-4;
const SHORTEST_STEP = 2 ** -20;
/** Values come from float32 sums, one after the other on WebAssembly: differences below this share are noise. */
const NOISE = 1e-6;

/** Limited-memory BFGS (Liu & Nocedal 1989) with backtracking: minimises a smooth function from `start`. */
export async function lbfgs(
  objective: Objective,
  start: Float64Array,
  { maxIterations, tolerance, memory = 10 }: LbfgsOptions,
): Promise<LbfgsResult> {
  let x = start;
  let { value, gradient } = await copied(objective, x);
  const pairs: Pair[] = [];
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    if (largest(gradient) <= tolerance) return { x, value, iterations: iteration, converged: true };
    const direction = descent(gradient, pairs);
    const slope = dot(direction, gradient);
    // Without curvature yet, a unit-length first step is the safe one.
    const first = pairs.length === 0 ? Math.min(1, 1 / Math.sqrt(dot(gradient, gradient))) : 1;
    const next = await search(objective, x, value, direction, slope, first);
    if (!next) return { x, value, iterations: iteration, converged: false };
    const step = subtract(next.x, x);
    const change = subtract(next.gradient, gradient);
    const curvature = dot(step, change);
    if (curvature > 1e-10 * dot(change, change)) {
      pairs.push({ step, change, curvature });
      if (pairs.length > memory) pairs.shift();
    }
    ({ x, value, gradient } = next);
  }
  return { x, value, iterations: maxIterations, converged: largest(gradient) <= tolerance };
}

interface Pair {
  step: Float64Array;
  change: Float64Array;
  /** step · change > 0. */
  curvature: number;
}

interface Point {
  x: Float64Array;
  value: number;
  gradient: Float64Array;
}

async function copied(objective: Objective, x: Float64Array): Promise<Omit<Point, 'x'>> {
  const { value, gradient } = await objective(x);
  return { value, gradient: gradient.slice() };
}

/**
 * Halves the step until the value falls enough; undefined where even a tiny step does not help. Within the values'
 * noise the slope decides instead (Hager & Zhang 2005, the approximate Wolfe condition): it must not have overshot.
 */
async function search(
  objective: Objective,
  x: Float64Array,
  value: number,
  direction: Float64Array,
  slope: number,
  first: number,
): Promise<Point | undefined> {
  for (let size = first; size >= SHORTEST_STEP; size /= 2) {
    const moved = x.map((entry, i) => entry + size * direction[i]);
    const there = await copied(objective, moved);
    const fallsEnough = there.value <= value + ARMIJO * size * slope;
    const isLevel = there.value <= value + NOISE * Math.abs(value);
    const hasNotOvershot = dot(there.gradient, direction) <= (2 * ARMIJO - 1) * slope;
    if (fallsEnough || (isLevel && hasNotOvershot)) return { x: moved, ...there };
  }
  return undefined;
}

/** The two-loop recursion: minus the inverse Hessian's estimate times the gradient. */
function descent(gradient: Float64Array, pairs: Pair[]): Float64Array {
  const q = gradient.map(entry => -entry);
  const along = new Array<number>(pairs.length);
  for (let i = pairs.length - 1; i >= 0; i--) {
    const { step, change, curvature } = pairs[i];
    along[i] = dot(step, q) / curvature;
    addScaled(q, change, -along[i]);
  }
  const newest = pairs.at(-1);
  if (newest) {
    const scale = newest.curvature / dot(newest.change, newest.change);
    for (let i = 0; i < q.length; i++) q[i] *= scale;
  }
  for (let i = 0; i < pairs.length; i++) {
    const { step, change, curvature } = pairs[i];
    addScaled(q, step, along[i] - dot(change, q) / curvature);
  }
  return q;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function addScaled(a: Float64Array, b: Float64Array, scale: number): void {
  for (let i = 0; i < a.length; i++) a[i] += scale * b[i];
}

const subtract = (a: Float64Array, b: Float64Array): Float64Array => a.map((entry, i) => entry - b[i]);

function largest(x: Float64Array): number {
  let most = 0;
  for (const entry of x) most = Math.max(most, Math.abs(entry));
  return most;
}

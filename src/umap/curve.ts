/** How close two points in the plane are, 1 / (1 + a d^2b). */
export interface Curve {
  a: number;
  b: number;
}

const POINTS = 300;

/**
 * The curve that follows best, by least squares over distances to three times `spread`, a plateau of 1 up to `minDist` and
 * an exponential fall beyond it (McInnes et al. 2018, §4.1): Levenberg and Marquardt's method on (log a, b).
 */
export function similarityCurve(minDist: number, spread = 1): Curve {
  const xs = Array.from({ length: POINTS }, (_, i) => (3 * spread * (i + 1)) / POINTS);
  const ys = xs.map(x => (x < minDist ? 1 : Math.exp(-(x - minDist) / spread)));
  let [logA, b, damping] = [0, 1, 1e-3];
  let error = squaredError(xs, ys, logA, b);
  for (let step = 0; step < 200 && damping < 1e12; step++) {
    let [aa, ab, bb, ga, gb] = [0, 0, 0, 0, 0];
    xs.forEach((x, i) => {
      const power = Math.exp(logA) * x ** (2 * b);
      const value = 1 / (1 + power);
      const da = -value * value * power;
      const db = da * 2 * Math.log(x);
      const rest = ys[i] - value;
      aa += da * da;
      ab += da * db;
      bb += db * db;
      ga += da * rest;
      gb += db * rest;
    });
    const [p, q] = [aa * (1 + damping), bb * (1 + damping)];
    const determinant = p * q - ab * ab;
    const [nextA, nextB] = [logA + (q * ga - ab * gb) / determinant, b + (p * gb - ab * ga) / determinant];
    const nextError = squaredError(xs, ys, nextA, nextB);
    const better = nextError < error;
    const settled = better && error - nextError < 1e-14;
    if (better) [logA, b, error] = [nextA, nextB, nextError];
    damping *= better ? 0.3 : 10;
    if (settled) break;
  }
  return { a: Math.exp(logA), b };
}

const squaredError = (xs: number[], ys: number[], logA: number, b: number): number =>
  xs.reduce((sum, x, i) => sum + (ys[i] - 1 / (1 + Math.exp(logA) * x ** (2 * b))) ** 2, 0);

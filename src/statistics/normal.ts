/** A 95% interval of a normal estimate reaches so many standard deviations to either side: the 97.5% quantile. */
export const NORMAL_95 = 1.959964;

/** Density of the standard normal distribution. */
export const normalDensity = (x: number): number => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);

/** Φ(x) to double precision: ½ + φ(x) (x + x³/3 + x⁵/15 + …) (Marsaglia 2004); 0 and 1 beyond ±9. */
export function normalCdf(x: number): number {
  if (Math.abs(x) > 9) return x < 0 ? 0 : 1;
  let term = x;
  let sum = x;
  for (let i = 3; sum + term !== sum; i += 2) {
    term *= (x * x) / i;
    sum += term;
  }
  return 0.5 + normalDensity(x) * sum;
}

/** The x with Φ(x) = u, 0 < u < 1: Newton's steps from 0, which never overshoot because Φ bends towards the axis. */
export function normalQuantile(u: number): number {
  if (!(u > 0 && u < 1)) throw new RangeError(`quantile of ${u}`);
  // Differences near 1 would be lost to rounding: work in the lower half.
  if (u > 0.5) return -normalQuantile(1 - u);
  let x = 0;
  for (let i = 0; i < 200; i++) {
    const step = (u - normalCdf(x)) / normalDensity(x);
    x += step;
    if (Math.abs(step) <= 1e-15 * (1 + Math.abs(x))) break;
  }
  return x;
}

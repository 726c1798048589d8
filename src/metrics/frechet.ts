import { UserError } from '../base/index.js';
import { eigenvalues, eigh, product } from '../engine/index.js';
import type { Moments } from './gaussian.js';

/**
 * Squared Fréchet distance between two Gaussians, |μ₁ − μ₂|² + tr(S₁ + S₂ − 2 (S₁ S₂)^½) (Dowson & Landau 1982).
 * The trace of the root is Σ √λ of S₁^½ S₂ S₁^½, which is symmetric and positive semi-definite: no complex numbers, no
 * iteration that may fail, and covariances of too few images are no special case.
 */
export function frechetDistance(a: Moments, b: Moments): number {
  const width = a.mean.length;
  if (b.mean.length !== width)
    throw new UserError(`features of ${width} numbers cannot be compared with features of ${b.mean.length}`);
  let distance = 0;
  for (let i = 0; i < width; i++) {
    distance += (a.mean[i] - b.mean[i]) ** 2;
    distance += a.covariance[i * width + i] + b.covariance[i * width + i];
  }
  // What rounding leaves of a distance of zero may be negative.
  return Math.max(0, distance - 2 * traceOfRoot(a.covariance, b.covariance, width));
}

/** tr (S₁ S₂)^½. The product form is taken in S₁'s own eigenbasis, which spares one product. */
function traceOfRoot(s1: Float64Array, s2: Float64Array, n: number): number {
  const { values, vectors } = eigh(s1, n);
  const roots = values.map(value => Math.sqrt(Math.max(0, value)));
  const scaled = vectors.map((value, i) => value * roots[i % n]);
  const half = product(scaled, s2, { m: n, k: n, n, transposeA: true });
  const form = product(half, scaled, { m: n, k: n, n });
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      const mean = (form[i * n + j] + form[j * n + i]) / 2;
      form[i * n + j] = mean;
      form[j * n + i] = mean;
    }
  }
  return eigenvalues(form, n).reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
}

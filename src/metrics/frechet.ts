import { UserError } from '../base/index.js';
import { cholesky, eigenvalues, eigh, hostMatMul, NotPositiveDefiniteError } from '../engine/index.js';
import type { FeatureMoments } from './gaussian.js';

/**
 * Squared Fréchet distance between two Gaussians, |μ₁ − μ₂|² + tr(S₁ + S₂ − 2 (S₁ S₂)^½) (Dowson & Landau 1982).
 * The trace of the root is Σ √λ of Rᵀ S₂ R with R Rᵀ = S₁, which is symmetric and positive semi-definite: no complex
 * numbers, no iteration that may fail, and covariances of too few images give what they should.
 */
export const frechetDistance = (a: FeatureMoments, b: FeatureMoments): number => frechetDistanceTo(a)(b);

/** The distance to one and the same Gaussian, whose root is taken once. */
export function frechetDistanceTo(target: FeatureMoments): (other: FeatureMoments) => number {
  const width = target.mean.length;
  const root = rootOf(target.covariance, width);
  return other => {
    if (other.mean.length !== width)
      throw new UserError(`features of ${other.mean.length} numbers cannot be compared with features of ${width}`);
    let distance = 0;
    for (let i = 0; i < width; i++) {
      distance += (target.mean[i] - other.mean[i]) ** 2;
      distance += target.covariance[i * width + i] + other.covariance[i * width + i];
    }
    // Rounding may make a distance of zero negative.
    return Math.max(0, distance - 2 * traceOfRoot(root, other.covariance, width));
  };
}

/** R with R Rᵀ = S: Cholesky's factor, at a tenth of the price of eigenvectors, which serve where S is singular. */
function rootOf(covariance: Float64Array, n: number): Float64Array {
  try {
    return cholesky(covariance, n);
  } catch (error) {
    if (error instanceof NotPositiveDefiniteError) return scaledEigenvectors(covariance, n);
    throw error;
  }
}

/** V √Λ, the root of V Λ Vᵀ in the matrix's own eigenbasis. */
function scaledEigenvectors(covariance: Float64Array, n: number): Float64Array {
  const { values, vectors } = eigh(covariance, n);
  const roots = values.map(value => Math.sqrt(Math.max(0, value)));
  return vectors.map((value, i) => value * roots[i % n]);
}

/** tr (S₁ S₂)^½ from the root R of S₁: the eigenvalues of Rᵀ S₂ R are those of the product form. */
function traceOfRoot(root: Float64Array, s2: Float64Array, n: number): number {
  const half = hostMatMul(root, s2, { m: n, k: n, n, transposeA: true });
  const form = hostMatMul(half, root, { m: n, k: n, n });
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      const mean = (form[i * n + j] + form[j * n + i]) / 2;
      form[i * n + j] = mean;
      form[j * n + i] = mean;
    }
  }
  return eigenvalues(form, n).reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
}

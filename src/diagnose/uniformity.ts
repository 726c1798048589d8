/*
 * How evenly points fill the plane: the discriminative measure that LightningDiT (Yao et al. 2025) computes from a
 * Gaussian kernel density estimate over t-SNE points of single spatial positions.
 */

export interface Uniformity {
  /** Standard deviation of the densities at the points, and over their mean: 0 for evenly spread points. */
  densityStd: number;
  densityCv: number;
  /** Entropy of the densities' shares over log n: 1 for evenly spread points. */
  normalisedEntropy: number;
  /** Gini coefficient of the densities: 0 for evenly spread points. */
  gini: number;
}

/** Uniformity of points [n, 2], from densities at the points themselves. */
export function uniformity(points: Float32Array): Uniformity {
  const densities = kernelDensities(points);
  const n = densities.length;
  const total = densities.reduce((sum, value) => sum + value, 0);
  const mean = total / n;
  const densityStd = Math.sqrt(densities.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n);
  const entropy = -densities.reduce((sum, value) => sum + (value / total) * Math.log(value / total), 0);
  const ranked = densities.slice().sort();
  const weighted = ranked.reduce((sum, value, i) => sum + (i + 1) * value, 0);
  return {
    densityStd,
    densityCv: densityStd / mean,
    normalisedEntropy: entropy / Math.log(n),
    gini: (2 * weighted) / (n * total) - (n + 1) / n,
  };
}

/**
 * Gaussian kernel density of points [n, 2] at themselves, by the rule of SciPy's `gaussian_kde`: the kernel's covariance
 * is the points' own, times n^(−1/3) (Scott's factor squared, in two dimensions).
 */
export function kernelDensities(points: Float32Array): Float64Array {
  const n = points.length / 2;
  let [mx, my] = [0, 0];
  for (let i = 0; i < n; i++) {
    mx += points[2 * i] / n;
    my += points[2 * i + 1] / n;
  }
  let [xx, xy, yy] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [dx, dy] = [points[2 * i] - mx, points[2 * i + 1] - my];
    xx += dx * dx;
    xy += dx * dy;
    yy += dy * dy;
  }
  const factor = n ** (-1 / 3) / (n - 1);
  [xx, xy, yy] = [xx * factor, xy * factor, yy * factor];
  const determinant = xx * yy - xy * xy;
  // Whitened by the Cholesky factor, so that a distance is one sum of two squares.
  const l = Math.sqrt(xx);
  const m = Math.sqrt(determinant / xx);
  const u = Float64Array.from({ length: n }, (_, i) => (points[2 * i] - mx) / l);
  const v = Float64Array.from({ length: n }, (_, i) => (points[2 * i + 1] - my - (xy / l) * u[i]) / m);
  const constant = 1 / (2 * Math.PI * Math.sqrt(determinant) * n);
  const out = new Float64Array(n).fill(constant);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < i; j++) {
      const square = (u[i] - u[j]) ** 2 + (v[i] - v[j]) ** 2;
      if (square > 60) continue;
      const density = constant * Math.exp(-0.5 * square);
      out[i] += density;
      out[j] += density;
    }
  return out;
}

/** Slope of the line of least squares through points, and the share of the variance of y that it explains. */
export function leastSquares(points: [x: number, y: number][]): { slope: number; r2: number } {
  const n = points.length;
  const [mx, my] = [0, 1].map(axis => points.reduce((total, point) => total + point[axis], 0) / n);
  let [sxx, sxy, syy] = [0, 0, 0];
  for (const [x, y] of points) {
    sxx += (x - mx) ** 2;
    sxy += (x - mx) * (y - my);
    syy += (y - my) ** 2;
  }
  return { slope: sxy / sxx, r2: syy === 0 ? 1 : sxy ** 2 / (sxx * syy) };
}

/* Intrinsic dimension from distances to nearest neighbours, which are row-major [rows, k], ascending. */

export interface NeighbourDistances {
  k: number;
  values: Float32Array;
}

/** Share of the largest ratios that is left out, since the tail breaks the assumption of constant density. */
const TAIL = 0.1;

/**
 * TwoNN (Facco et al. 2017): ratios μ of the second to the first distance follow 1 − μ^−d; −log(1 − F(μ)) against log μ,
 * without the tail, is fitted by a line through the origin. Rows with a duplicate (first distance 0) say nothing about the
 * dimension and are left out; NaN where fewer than three rows are left.
 */
export function twoNn({ k, values }: NeighbourDistances): number {
  const ratios: number[] = [];
  for (let at = 0; at < values.length; at += k) if (values[at] > 0) ratios.push(values[at + 1] / values[at]);
  if (ratios.length < 3 || k < 2) return NaN;
  ratios.sort((a, b) => a - b);
  const kept = Math.floor(ratios.length * (1 - TAIL));
  let [xx, xy] = [0, 0];
  for (let i = 0; i < kept; i++) {
    const x = Math.log(ratios[i]);
    xx += x * x;
    xy += x * -Math.log(1 - (i + 1) / ratios.length);
  }
  return xy / xx;
}

/**
 * Maximum likelihood from k neighbours (Levina & Bickel 2004); the rows' inverse estimates are averaged (MacKay &
 * Ghahramani 2005), since averaging the estimates themselves is biased for few neighbours.
 */
export function mleDimension({ k, values }: NeighbourDistances): number {
  let [logs, used] = [0, 0];
  for (let at = 0; at < values.length; at += k) {
    if (!(values[at] > 0)) continue;
    const furthest = Math.log(values[at + k - 1]);
    for (let j = 0; j < k - 1; j++) logs += furthest - Math.log(values[at + j]);
    used++;
  }
  return used === 0 || k < 2 ? NaN : (used * (k - 1)) / logs;
}

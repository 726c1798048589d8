/** A cost a + b·nᵖ. */
export interface Growth {
  fixed: number;
  factor: number;
  exponent: number;
}

const ROUNDS = 20;

/**
 * Fits a + b·nᵖ to costs at growing sizes. The smallest size is for the fixed part: the curve goes through its cost, and the
 * logarithms of what the others cost beyond the fixed part lie on a straight line, by least squares. The work that the
 * smallest size takes is in neither: both are found in turns. Undefined where a cost is not above the fixed part.
 */
export function fitGrowth(sizes: readonly number[], costs: readonly number[]): Growth | undefined {
  const logs = sizes.slice(1).map(Math.log);
  let found: Growth = { fixed: costs[0], factor: 0, exponent: 1 };
  for (let round = 0; round < ROUNDS; round++) {
    const beyond = costs.slice(1).map(cost => cost - found.fixed);
    if (!beyond.every(cost => cost > 0)) return undefined;
    const [slope, intercept] = line(logs, beyond.map(Math.log));
    const factor = Math.exp(intercept);
    found = { fixed: Math.max(0, costs[0] - factor * sizes[0] ** slope), factor, exponent: slope };
  }
  return found;
}

export const costAt = ({ fixed, factor, exponent }: Growth, size: number): number => fixed + factor * size ** exponent;

/** Least squares. */
function line(x: readonly number[], y: readonly number[]): [slope: number, intercept: number] {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [mx, my] = [mean(x), mean(y)];
  const slope = mean(x.map((value, i) => (value - mx) * (y[i] - my))) / mean(x.map(value => (value - mx) ** 2));
  return [slope, my - slope * mx];
}

/** 97.5% quantiles of Student's t for 1 … 20 degrees of freedom; beyond, the normal distribution's is close. */
const T = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086,
];

export interface Estimate {
  mean: number;
  /** 95% interval; the mean's own value twice where there is nothing to estimate it from. */
  low: number;
  high: number;
  count: number;
}

/** Mean of independent measurements with Student's interval. */
export function estimate(values: number[]): Estimate {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count < 2) return { mean, low: mean, high: mean, count };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  const half = (T[count - 2] ?? 1.96) * Math.sqrt(variance / count);
  return { mean, low: mean - half, high: mean + half, count };
}

import { studentQuantile } from './student.js';

export interface Estimate {
  mean: number;
  /** 95% interval; the mean itself twice where there is nothing to estimate it from. */
  low: number;
  high: number;
  count: number;
}

/** Mean of independent measurements with Student's 95% interval; the bounds are the mean where there is one value. */
export function estimate(values: number[]): Estimate {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count < 2) return { mean, low: mean, high: mean, count };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  const half = studentQuantile(count - 1) * Math.sqrt(variance / count);
  return { mean, low: mean - half, high: mean + half, count };
}

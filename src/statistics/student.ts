import { NORMAL_95 } from './normal.js';

/** 97.5% quantiles of Student's t for 1 … 20 degrees of freedom. */
const FEW = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086,
];

/** The 97.5% quantile of Student's t; beyond 20 degrees of freedom by Cornish and Fisher's expansion, good to 1e-5. */
export function studentQuantile(freedom: number): number {
  const z = NORMAL_95;
  return (
    FEW[freedom - 1] ??
    z +
      (z ** 3 + z) / (4 * freedom) +
      (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2) +
      (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * freedom ** 3)
  );
}

import {
  conditionNumber,
  effectiveRank,
  numericalRank,
  participationRatio,
  powerLaw,
  stableRank,
} from '../../../diagnose/index.js';
import { dimensionsFor } from '../../../pca/index.js';
import type { Measured, Task } from '../task.js';

/** How many directions the latents use, from the eigenvalues of their covariance. */
export async function spectrum({ rows: { rows }, spectrum: find }: Task): Promise<Measured[]> {
  const spectrum = await find();
  const total = spectrum.reduce((sum, value) => sum + value, 0);
  const { slope, ranks, r2 } = powerLaw(spectrum);
  const setting = `ranks=${ranks[0]}-${ranks[1]}`;
  return [
    { measure: 'total_variance', value: total, rows },
    { measure: 'effective_rank', value: effectiveRank(spectrum), rows },
    { measure: 'participation_ratio', value: participationRatio(spectrum), rows },
    { measure: 'stable_rank', value: stableRank(spectrum), rows },
    { measure: 'numerical_rank', value: numericalRank(spectrum), rows },
    { measure: 'condition_number', value: conditionNumber(spectrum), rows },
    {
      measure: 'pca_dims',
      value: dimensionsFor(spectrum, total, 0.9) ?? spectrum.length,
      setting: 'variance=0.9',
      rows,
    },
    { measure: 'spectrum_slope', value: slope, setting, rows },
    { measure: 'spectrum_slope_r2', value: r2, setting, rows },
  ];
}

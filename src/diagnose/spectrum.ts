import { leastSquares } from '../statistics/index.js';

/*
 * How many directions a latent space uses, from the eigenvalues of its covariance matrix in any order. Those that are
 * rounding must be 0 already: how large they may be is known where the covariance was summed.
 */

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);

/** exp of the entropy of λ / Σλ (Roy & Vetterli 2007): as many equal eigenvalues would be as spread out. */
export function effectiveRank(spectrum: Float64Array): number {
  const total = sum(spectrum);
  return Math.exp(-spectrum.reduce((h, value) => (value > 0 ? h + (value / total) * Math.log(value / total) : h), 0));
}

/** Participation ratio (Σλ)² / Σλ²: the number of eigenvalues where all are equal, 1 where one holds everything. */
export function participationRatio(spectrum: Float64Array): number {
  return sum(spectrum) ** 2 / sum(spectrum.map(value => value * value));
}

/** Σλ / λ₁, the stable rank of the centred data matrix: ‖X‖²_F / ‖X‖²₂. */
export function stableRank(spectrum: Float64Array): number {
  return sum(spectrum) / largest(spectrum);
}

/** Number of directions that vary: eigenvalues above 0. */
export function numericalRank(spectrum: Float64Array): number {
  return spectrum.filter(value => value > 0).length;
}

/** Largest over smallest eigenvalue, of the directions that vary at all. */
export function conditionNumber(spectrum: Float64Array): number {
  const sorted = descending(spectrum);
  return sorted[0] / sorted[numericalRank(spectrum) - 1];
}

const descending = (spectrum: Float64Array): Float64Array => spectrum.slice().sort().reverse();

const largest = (spectrum: Float64Array): number => spectrum.reduce((most, value) => Math.max(most, value), 0);

export interface PowerLaw {
  /** α of λ_i ∝ i^−α. */
  slope: number;
  /** First and last rank that the line was fitted on, counted from 1. */
  ranks: [first: number, last: number];
  /** Share of the variance of log λ that the line explains. */
  r2: number;
}

/**
 * The spectrum's decay, λ_i ∝ i^−α (α-ReQ: Agrawal et al. 2022; Stringer et al. 2019), by least squares of log λ on log i
 * over ranks 11 to 100: the first few directions are not part of the tail, and the last ones are noise. A spectrum of
 * fewer than 40 eigenvalues is fitted on all but its last quarter.
 */
export function powerLaw(spectrum: Float64Array): PowerLaw {
  const sorted = descending(spectrum);
  const positive = numericalRank(spectrum);
  const ranks: [number, number] =
    positive < 40 ? [1, Math.max(2, Math.ceil(positive * 0.75))] : [11, Math.min(100, positive)];
  const points: [number, number][] = [];
  for (let rank = ranks[0]; rank <= Math.min(ranks[1], positive); rank++)
    points.push([Math.log(rank), Math.log(sorted[rank - 1])]);
  const { slope, r2 } = leastSquares(points);
  return { slope: -slope, ranks, r2 };
}

/**
 * IsoScore (Rudman et al. 2022): 1 where all directions vary alike, 0 where one holds all the variance. Written out, its
 * isotropy defect of the variances along the principal axes is an affine function of the participation ratio.
 */
export function isoScore(spectrum: Float64Array): number {
  const dims = spectrum.length;
  return dims === 1 ? 1 : (participationRatio(spectrum) - 1) / (dims - 1);
}

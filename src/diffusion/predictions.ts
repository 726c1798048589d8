import type { PredictionName } from './names.js';
import type { PathPoint } from './paths.js';

/*
 * What a network is trained to give, and how one quantity becomes another. Each of data, noise, velocity and score is
 * a linear combination of the network's output and its input, with coefficients that depend on t alone.
 */

/** result = output · `output` + x · `x`. */
export interface Combination {
  output: number;
  x: number;
}

/** A prediction as the velocity dx/dt. */
export const TO_VELOCITY: Record<PredictionName, (p: PathPoint) => Combination> = {
  velocity: () => ({ output: 1, x: 0 }),
  noise: ({ alpha, sigma, dAlpha, dSigma }) => ({ output: dSigma - (sigma * dAlpha) / alpha, x: dAlpha / alpha }),
  data: ({ alpha, sigma, dAlpha, dSigma }) => ({ output: dAlpha - (alpha * dSigma) / sigma, x: dSigma / sigma }),
  score: ({ alpha, sigma, dAlpha, dSigma }) => ({
    output: -sigma * (dSigma - (sigma * dAlpha) / alpha),
    x: dAlpha / alpha,
  }),
};

/** The velocity as the data that it points to: (σ' x − σ v) / (α σ' − σ α'). */
export function dataFromVelocity({ alpha, sigma, dAlpha, dSigma }: PathPoint): Combination {
  const det = alpha * dSigma - sigma * dAlpha;
  return { output: -sigma / det, x: dSigma / det };
}

/** The velocity as the score ∇ log p_t(x) = −noise / σ. */
export function scoreFromVelocity({ alpha, sigma, dAlpha, dSigma }: PathPoint): Combination {
  const det = alpha * dSigma - sigma * dAlpha;
  return { output: -alpha / (sigma * det), x: dAlpha / (sigma * det) };
}

/** The training target as a combination of data and noise. */
export const TARGETS: Record<PredictionName, (p: PathPoint) => { data: number; noise: number }> = {
  velocity: ({ dAlpha, dSigma }) => ({ data: dAlpha, noise: dSigma }),
  noise: () => ({ data: 0, noise: 1 }),
  data: () => ({ data: 1, noise: 0 }),
  score: ({ sigma }) => ({ data: 0, noise: -1 / sigma }),
};

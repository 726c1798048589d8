import { RandomNumbers } from '../base/index.js';
import type { PosteriorName } from '../io/index.js';

/** Kind of the values that follow the means where a file holds a posterior's moments. */
export type PosteriorScale = 'std' | 'logvar';

export interface PosteriorChoice {
  /** The mean, or a sample of the posterior that depends on seed and row alone. */
  take: PosteriorName;
  seed: number;
}

/** Moments [2·C, …] of one row, means before spreads → a latent [C, …]. */
export function fromMoments(
  moments: Float32Array,
  scaleAs: PosteriorScale,
  { take, seed }: PosteriorChoice,
  row: number,
  flipped: boolean,
): Float32Array {
  const half = moments.length / 2;
  const latent = moments.slice(0, half);
  if (take === 'mode') return latent;
  const noise = new RandomNumbers(seed)
    .for(flipped ? 'posterior-flip' : 'posterior')
    .at(row)
    .normals(half);
  for (let i = 0; i < half; i++) {
    const scale = moments[half + i];
    latent[i] += noise[i] * (scaleAs === 'std' ? scale : Math.exp(0.5 * Math.min(20, Math.max(-30, scale))));
  }
  return latent;
}

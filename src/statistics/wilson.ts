import { NORMAL_95 } from './normal.js';

/** Wilson's score interval (1927) of the proportion successes / trials, 95%. */
export function wilson(successes: number, trials: number): [low: number, high: number] {
  const z = NORMAL_95;
  const p = successes / trials;
  const centre = p + (z * z) / (2 * trials);
  const half = z * Math.sqrt((p * (1 - p)) / trials + (z * z) / (4 * trials * trials));
  const scale = 1 + (z * z) / trials;
  return [(centre - half) / scale, (centre + half) / scale];
}

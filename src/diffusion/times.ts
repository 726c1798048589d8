import type { RandomNumbers } from '../base/index.js';
import type { PathName, TimeDistribution } from './names.js';

/* Times at which to train and to integrate. t = 0 is noise, t = 1 data. */

/** A training time from one random number. */
interface TimeDraw {
  from: 'uniforms' | 'normals';
  time: (value: number, path: PathName) => number;
}

/** `lognormal`: log(σ/α) is standard normal on the linear and cosine paths (Esser et al. 2024; MAETok). */
export const TIME_DRAWS: Record<TimeDistribution, TimeDraw> = {
  uniform: { from: 'uniforms', time: u => u },
  lognormal: {
    from: 'normals',
    time: (z, path) => (path === 'cosine' ? (2 / Math.PI) * Math.atan(Math.exp(z)) : sigmoid(z)),
  },
};

/** `count` training times. */
export function drawTimes(
  distribution: TimeDistribution,
  path: PathName,
  random: RandomNumbers,
  count: number,
): Float64Array {
  const { from, time } = TIME_DRAWS[distribution];
  return Float64Array.from(random[from](count), value => time(value, path));
}

const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));

/** `points` equally spaced times from `start` to `end`, both included, exact at either end. */
export function timeGrid(points: number, start = 0, end = 1): Float64Array {
  const step = (end - start) / (points - 1);
  return Float64Array.from({ length: points }, (_, i) =>
    i < points / 2 ? start + step * i : end - step * (points - 1 - i),
  );
}

/** Time shift: s t / (1 + (s − 1) t). Below 1 it spends more steps near the noise; 1 changes nothing. */
export function shiftTime(t: number, shift: number): number {
  return (shift * t) / (1 + (shift - 1) * t);
}

import { EXIT, UserError } from '../../base/index.js';
import { tf, type Tensor } from '../../engine/index.js';
import { shiftedGrid } from '../times.js';
import type { OfferedSampler } from './offered.js';
import type { Sampler, VelocityField } from './types.js';

/*
 * The Dormand–Prince pair of orders 5 and 4 with steps chosen by its error, and results at the given times by the
 * fourth-order polynomial through each step, as torchdiffeq does it (so steps may reach beyond the last time). The
 * error estimate is read back once a step: that is what adapting costs.
 */

export interface AdaptiveOptions {
  atol?: number | undefined;
  rtol?: number | undefined;
  /** Steps, refused ones included, after which the field is taken to be too rough. */
  maxSteps?: number;
}

const NODES = [1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1];
const STAGES = [
  [1 / 5],
  [3 / 40, 9 / 40],
  [44 / 45, -56 / 15, 32 / 9],
  [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
  [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
  [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
];
const FOURTH_ORDER = [1951 / 21600, 0, 22642 / 50085, 451 / 720, -12231 / 42400, 649 / 6300, 1 / 60];
const ERROR = FOURTH_ORDER.map((fourth, i) => (STAGES[5][i] ?? 0) - fourth);
/** Weights of the slopes for the state in the middle of a step (Shampine 1986). */
const MIDDLE = [
  6025192743 / 30085553152 / 2,
  0,
  51252292925 / 65400821598 / 2,
  -2691868925 / 45128329728 / 2,
  187940372067 / 1594534317056 / 2,
  -1776094331 / 19743644256 / 2,
  11237099 / 235043384 / 2,
];

const SAFETY = 0.9;
const LARGEST_GROWTH = 10;
const SMALLEST_SHRINKAGE = 0.2;

/**
 * Dormand and Prince's pair of orders 5 and 4 (1980) with steps of its own length; the states at the given times are
 * interpolated. A step is accepted where its error, over atol + rtol · |x|, is at most 1 in the root mean square.
 * @throws UserError after `maxSteps` steps.
 */
export function dopri5({ atol = 1e-6, rtol = 1e-3, maxSteps = 10_000 }: AdaptiveOptions = {}): Sampler {
  return async (field, start, times, { onStep } = {}) => {
    const tolerance = { atol, rtol };
    // Backwards is forwards in −t.
    const sign = times[times.length - 1] >= times[0] ? 1 : -1;
    const slope: VelocityField = (x, t, s) => tf.tidy(() => field(x, sign * t, sign * s).mul(sign));
    const grid = Float64Array.from(times, t => sign * t);

    let now = begin(slope, start, grid[0], tolerance);
    let result = start.clone();
    try {
      let taken = 0;
      for (let i = 1; i < grid.length; i++) {
        while (now.t < grid[i]) {
          if (++taken > maxSteps)
            throw new UserError(
              `dopri5: ${maxSteps} steps did not reach t = ${times[i].toPrecision(3)}; allow larger errors with --rtol and --atol`,
              EXIT.failed,
            );
          now = attempt(slope, now, tolerance);
        }
        result.dispose();
        result = interpolate(now, grid[i]);
        await onStep?.({ step: i, t: times[i], x: result });
      }
      return result;
    } catch (error) {
      result.dispose();
      throw error;
    } finally {
      tf.dispose([now.x, now.slope, ...now.polynomial]);
    }
  };
}

/** It chooses its own steps; these are the times at which it reports. */
const REPORTS = 9;

export const offered: OfferedSampler = {
  // Its steps suit the whole batch.
  reads: ['atol', 'rtol', 'batchSize', 'shift'],
  times: ({ shift }, start, end) => shiftedGrid(REPORTS, start, end, shift),
  open: ({ atol, rtol }) => dopri5({ atol, rtol }),
};

interface Tolerance {
  atol: number;
  rtol: number;
}

interface Progress {
  /** The last accepted step went from `from` to `t`. */
  from: number;
  t: number;
  x: Tensor;
  slope: Tensor;
  /** Size of the step to try next. */
  dt: number;
  /** Coefficients a … e of a s⁴ + … + e over the last accepted step, s from 0 to 1; empty before the first. */
  polynomial: Tensor[];
}

function begin(field: VelocityField, start: Tensor, t: number, tolerance: Tolerance): Progress {
  const x = start.clone();
  const slope = field(x, t, t);
  return { from: t, t, x, slope, dt: firstStep(field, x, slope, t, tolerance), polynomial: [] };
}

/** Hairer, Nørsett & Wanner, Solving ODEs I, p. 169. */
function firstStep(field: VelocityField, x: Tensor, slope: Tensor, t: number, { atol, rtol }: Tolerance): number {
  return tf.tidy(() => {
    const scale = x.abs().mul(rtol).add(atol);
    const [d0, d1] = [rms(x.div(scale)), rms(slope.div(scale))];
    const h0 = d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : (0.01 * d0) / d1;
    const ahead = field(x.add(slope.mul(h0)), t + h0, t);
    const d2 = rms(ahead.sub(slope).div(scale)) / h0;
    const h1 = d1 <= 1e-15 && d2 <= 1e-15 ? Math.max(1e-6, h0 * 1e-3) : (0.01 / Math.max(d1, d2)) ** (1 / 5);
    return Math.min(100 * h0, h1);
  });
}

/** Tries one step; refused, only its size shrinks. Frees what the accepted step replaces. */
function attempt(field: VelocityField, now: Progress, { atol, rtol }: Tolerance): Progress {
  const { x, t, dt } = now;
  const end = t + dt;
  let ratio = 0;
  const accepted = tf.tidy(() => {
    const slopes = [now.slope];
    let y = x;
    STAGES.forEach((weights, i) => {
      y = x.add(weighted(slopes, weights, dt));
      slopes.push(field(y, i >= 4 ? end : t + NODES[i] * dt, t));
    });
    const allowed = tf.maximum(x.abs(), y.abs()).mul(rtol).add(atol);
    ratio = rms(weighted(slopes, ERROR, dt).div(allowed));
    if (Number.isNaN(ratio))
      throw new UserError(`dopri5: the latents are NaN or infinite at t = ${end.toPrecision(3)}`, EXIT.failed);
    if (ratio > 1) return undefined;
    const middle = x.add(weighted(slopes, MIDDLE, dt));
    return { x: y, slope: slopes[6], polynomial: quartic(x, y, middle, slopes[0], slopes[6], dt) };
  });
  const next = dt * growth(ratio);
  if (!accepted) return { ...now, dt: next };
  tf.dispose([now.x, now.slope, ...now.polynomial]);
  return { ...accepted, from: t, t: end, dt: next };
}

function growth(ratio: number): number {
  if (ratio === 0) return LARGEST_GROWTH;
  const least = ratio < 1 ? 1 : SMALLEST_SHRINKAGE;
  return Math.min(LARGEST_GROWTH, Math.max(SAFETY / ratio ** (1 / 5), least));
}

function weighted(slopes: Tensor[], weights: number[], dt: number): Tensor {
  return tf.addN(slopes.flatMap((k, i) => (weights[i] ? [k.mul(weights[i] * dt)] : [])));
}

/** The polynomial through both ends and the middle with the slopes at both ends. */
function quartic(x0: Tensor, x1: Tensor, middle: Tensor, f0: Tensor, f1: Tensor, dt: number): Tensor[] {
  return [
    tf.addN([f1.sub(f0).mul(2 * dt), x1.add(x0).mul(-8), middle.mul(16)]),
    tf.addN([f0.mul(5).sub(f1.mul(3)).mul(dt), x0.mul(18), x1.mul(14), middle.mul(-32)]),
    tf.addN([f1.sub(f0.mul(4)).mul(dt), x0.mul(-11), x1.mul(-5), middle.mul(16)]),
    f0.mul(dt),
    x0.clone(),
  ];
}

function interpolate({ polynomial, from, t }: Progress, at: number): Tensor {
  const s = (at - from) / (t - from);
  return tf.tidy(() => polynomial.slice(1).reduce((sum, coefficient) => sum.mul(s).add(coefficient), polynomial[0]));
}

/** Root mean square, on the host. */
const rms = (x: Tensor): number => x.square().mean().sqrt().dataSync()[0];

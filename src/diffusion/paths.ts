import type { PathName } from './names.js';

/**
 * A path from noise at t = 0 to data at t = 1: x_t = α(t) data + σ(t) noise, and the derivatives in t. Everything that
 * objectives and samplers need of a path follows from these four numbers (Albergo & Vanden-Eijnden 2023; SiT, §2).
 */
export interface PathPoint {
  alpha: number;
  sigma: number;
  dAlpha: number;
  dSigma: number;
}

/** name → the path at t. `cosine` is what SiT calls GVP. */
export const PATHS: Record<PathName, (t: number) => PathPoint> = {
  linear: t => ({ alpha: t, sigma: 1 - t, dAlpha: 1, dSigma: -1 }),
  cosine: t => {
    const angle = (Math.PI / 2) * t;
    const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
    return { alpha: sin, sigma: cos, dAlpha: (Math.PI / 2) * cos, dSigma: (-Math.PI / 2) * sin };
  },
  vp: t => variancePreserving(...logMeanOfVp(t)),
  ddpm: t => variancePreserving(...logMeanOfDdpm(t)),
};

/** The path with log α given, with its derivative, and σ² = 1 − α². */
function variancePreserving(logAlpha: number, slope: number): PathPoint {
  const alpha = Math.exp(logAlpha);
  const sigma = Math.sqrt(-Math.expm1(2 * logAlpha));
  return { alpha, sigma, dAlpha: alpha * slope, dSigma: (-alpha * alpha * slope) / sigma };
}

const VP_BETA_MIN = 0.1;
const VP_BETA_MAX = 20;

/** Song et al. 2021, eq. 33, with time reversed. */
function logMeanOfVp(t: number): [number, number] {
  const u = 1 - t;
  const range = VP_BETA_MAX - VP_BETA_MIN;
  return [-0.25 * u * u * range - 0.5 * u * VP_BETA_MIN, 0.5 * u * range + 0.5 * VP_BETA_MIN];
}

export const DDPM_STEPS = 1000;
let ddpmTable: Float64Array | undefined;

/** ½ log ᾱ of DDPM's thousand steps with linear betas 1e-4 … 0.02 (Ho et al. 2020). */
function ddpmLogAlphas(): Float64Array {
  if (ddpmTable) return ddpmTable;
  let sum = 0;
  ddpmTable = Float64Array.from({ length: DDPM_STEPS }, (_, i) => {
    sum += 0.5 * Math.log1p(-(1e-4 + ((0.02 - 1e-4) * i) / (DDPM_STEPS - 1)));
    return sum;
  });
  return ddpmTable;
}

/** Step i of DDPM is t = 1 − i/999; between steps log α is a straight line. */
function logMeanOfDdpm(t: number): [number, number] {
  const table = ddpmLogAlphas();
  const last = DDPM_STEPS - 1;
  const place = Math.min(Math.max((1 - t) * last, 0), last);
  const i = Math.min(Math.floor(place), last - 1);
  const rise = table[i + 1] - table[i];
  return [table[i] + rise * (place - i), -rise * last];
}

/** log(α²/σ²), the axis on which timesteps of different paths compare. */
export function logSnr({ alpha, sigma }: PathPoint): number {
  return 2 * Math.log(alpha / sigma);
}

/** d(log α)/dt σ² − σ dσ/dt: half the squared noise rate of the forward process (SiT's drift variance). */
export function noiseRate({ alpha, sigma, dAlpha, dSigma }: PathPoint): number {
  return (dAlpha / alpha) * sigma * sigma - sigma * dSigma;
}

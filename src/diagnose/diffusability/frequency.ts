import { leastSquares } from '../../statistics/index.js';

/** Rows and columns of a grid of tokens. */
export type Grid = readonly [height: number, width: number];

/** Orthonormal DCT-II, [n, n], a row per frequency. */
function cosineBasis(n: number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, at) => {
    const [u, i] = [Math.floor(at / n), at % n];
    return Math.sqrt((u === 0 ? 1 : 2) / n) * Math.cos((Math.PI * (2 * i + 1) * u) / (2 * n));
  });
}

/**
 * Mean squared coefficient of each spatial frequency, [height, width], under the orthonormal two-dimensional DCT-II: what
 * the products of tokens [t, t] are along that frequency's basis image, so that no image is transformed by itself.
 */
export function frequencyEnergy(products: Float64Array, [height, width]: Grid): Float64Array {
  const [down, across] = [cosineBasis(height), cosineBasis(width)];
  const tokens = height * width;
  const energy = new Float64Array(tokens);
  const between = new Float64Array(width * width);
  for (let u = 0; u < height; u++) {
    between.fill(0);
    for (let i = 0; i < height; i++)
      for (let k = 0; k < height; k++) {
        const weight = down[u * height + i] * down[u * height + k];
        for (let j = 0; j < width; j++)
          for (let l = 0; l < width; l++)
            between[j * width + l] += weight * products[(i * width + j) * tokens + k * width + l];
      }
    for (let v = 0; v < width; v++)
      for (let j = 0; j < width; j++)
        for (let l = 0; l < width; l++)
          energy[u * width + v] += across[v * width + j] * across[v * width + l] * between[j * width + l];
  }
  return energy;
}

/** SEC: share of the energy at frequencies (u, v) with u + v above `rho` times the largest (2606.03578). */
export function highFrequencyShare(energy: Float64Array, [height, width]: Grid, rho: number): number {
  const bound = rho * (height - 1 + width - 1);
  return share(energy, at => Math.floor(at / width) + (at % width) > bound);
}

export interface RadialSpectrum {
  /** α of energy ∝ f^−α, over all frequencies but 0. */
  slope: number;
  /** Share of the variance of log energy that the line explains. */
  r2: number;
  /** Shares of the energy, by frequency as a fraction of half a cycle per token; they sum to 1. */
  bands: { band: string; share: number }[];
}

/** How the energy is spread over the radius of frequency: its decay, and the shares of octave-wide bands. */
export function radialSpectrum(energy: Float64Array, [height, width]: Grid): RadialSpectrum {
  const radius = (at: number): number => Math.hypot(Math.floor(at / width) / height, (at % width) / width);
  const rings = new Map<number, { energy: number; radius: number; count: number }>();
  energy.forEach((value, at) => {
    const ring = Math.round(radius(at) * Math.min(height, width));
    const { energy, radius: sum, count } = rings.get(ring) ?? { energy: 0, radius: 0, count: 0 };
    rings.set(ring, { energy: energy + value, radius: sum + radius(at), count: count + 1 });
  });
  const points = [...rings]
    .filter(([ring, { energy }]) => ring > 0 && energy > 0)
    .map(([, { energy, radius, count }]): [number, number] => [Math.log(radius / count), Math.log(energy / count)]);
  const { slope, r2 } = leastSquares(points);
  const edges = [-1, 0, 1 / 4, 1 / 2, 1, Infinity];
  const names = ['f=0', 'f<=1/4', 'f<=1/2', 'f<=1', 'f>1'];
  const bands = names.map((band, i) => ({
    band,
    share: share(energy, at => radius(at) > edges[i] && radius(at) <= edges[i + 1]),
  }));
  return { slope: -slope, r2, bands };
}

function share(energy: Float64Array, counts: (at: number) => boolean): number {
  let [inside, total] = [0, 0];
  energy.forEach((value, at) => {
    total += value;
    if (counts(at)) inside += value;
  });
  return inside / total;
}

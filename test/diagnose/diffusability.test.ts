import { beforeAll, describe, expect, it, test } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import {
  frequencyEnergy,
  highFrequencyShare,
  overStandardised,
  pairProducts,
  pixels,
  radialSpectrum,
  localVersusDistant,
  velocityVariance,
} from '../../src/diagnose/diffusability/index.js';
import { startEngine, tf } from '../../src/engine/index.js';
import { diffusionFloor } from '../../src/gmm/index.js';
import { arrayRows } from '../../src/rows/index.js';
import { verifyCase } from '../../src/verify/index.js';

beforeAll(async () => {
  await startEngine();
});

test.each(['few-oblong', 'wide'])(
  '%s: every recorded number is recomputed within 1e-4, nothing is left behind',
  async name => {
    const before = tf.memory().numTensors;
    const rows = await verifyCase(`fixtures/golden/latent-measures/${name}`, { tolerance: 1e-4 });
    expect(rows).toHaveLength(12);
    expect(rows.filter(row => !row.pass)).toEqual([]);
    expect(tf.memory().numTensors).toBe(before);
  },
);

const PLAIN = (channels: number) => ({ mean: new Float64Array(channels), std: new Float64Array(channels).fill(1) });

/** Latents of standard normal numbers, each multiplied by what `scale` says of its place. */
function latents(n: number, tokens: number, channels: number, scale: (t: number, c: number) => number = () => 1) {
  const data = new RandomNumbers(5).normals(n * tokens * channels).map((value, at) => {
    const place = at % (tokens * channels);
    return value * scale(Math.floor(place / channels), place % channels);
  });
  return { rows: arrayRows('latents', Float32Array.from(data), n, tokens * channels), tokens, channels };
}

describe('variance of velocities', () => {
  const labels = (n: number, classes: number) => Int32Array.from({ length: n }, (_, row) => row % classes);

  it('is the integral over time of the floor of a Gaussian with the planted covariance', async () => {
    const [tokens, channels] = [4, 3];
    const variances = Float64Array.from(
      { length: 12 },
      (_, at) => ((1 + Math.floor(at / 3)) * (1 + (at % 3))) ** 2 / 40,
    );
    const space = latents(4000, tokens, channels, (t, c) => Math.sqrt(variances[t * channels + c]));
    const covariance = new Float64Array(144);
    variances.forEach((value, at) => (covariance[at * 13] = value));
    const mixture = {
      ...{ components: 1, dims: 12, covarianceType: 'full' as const, weights: Float64Array.of(1) },
      ...{ means: new Float64Array(12), covariances: covariance },
    };
    const times = Float64Array.from({ length: 2000 }, (_, i) => (i + 0.5) / 2000);
    const floor = diffusionFloor(mixture, { times, seed: 0 }).reduce((sum, value) => sum + value / 2000, 0);
    const { published, fair } = await velocityVariance(space, PLAIN(channels), labels(4000, 1));
    expect(published).toBeCloseTo(floor, 1);
    expect(Math.abs(published / floor - 1)).toBeLessThan(0.02);
    expect(fair).toBe(published);
  });

  it('of few rows is inflated by the published mean, less so over all dimensions', async () => {
    const space = latents(48, 64, 2);
    const { published, fair, rows, leftOut } = await velocityVariance(space, PLAIN(2), labels(48, 6));
    expect([rows, leftOut]).toEqual([[8, 8, 8, 8, 8, 8], 0]);
    expect(published).toBeGreaterThan(1.2 * (Math.PI / 2));
    expect(fair).toBeCloseTo((published * 16) / 64, 10);
  });

  it('does not depend on how many rows fit into memory, and counts classes that are too small', async () => {
    const space = latents(41, 4, 3);
    const unequal = Int32Array.from({ length: 41 }, (_, row) => (row < 2 ? 9 : row % 4));
    const whole = await velocityVariance(space, PLAIN(3), unequal);
    const parts = await velocityVariance(space, PLAIN(3), unequal, { memory: 1 });
    expect(parts).toEqual(whole);
    expect(whole.leftOut).toBe(1);
  });
});

describe('spatial frequencies', () => {
  async function energyOf(image: (y: number, x: number) => number, grid: [number, number]): Promise<Float64Array> {
    const [height, width] = grid;
    const data = Float32Array.from({ length: height * width }, (_, at) => image(Math.floor(at / width), at % width));
    const products = pairProducts('z', height * width);
    const rows = arrayRows('image', data, 1, height * width);
    await overStandardised({ rows, tokens: height * width, channels: 1 }, PLAIN(1), [products]);
    return frequencyEnergy(products.mean(), grid);
  }

  it('keep the energy, and find a cosine where it is', async () => {
    const energy = await energyOf((y, x) => Math.cos((Math.PI * (2 * x + 1) * 3) / 12) + 0 * y, [5, 6]);
    expect(energy.reduce((a, b) => a + b)).toBeCloseTo(15, 4);
    expect(energy[3]).toBeCloseTo(15, 4);
  });

  it('of a checkerboard are high, of a constant low', async () => {
    const board = await energyOf((y, x) => (y + x) % 2, [8, 8]);
    const flat = await energyOf(() => 1, [8, 8]);
    expect(highFrequencyShare(board, [8, 8], 0.5)).toBeGreaterThan(0.4);
    expect(highFrequencyShare(flat, [8, 8], 0.25)).toBeCloseTo(0, 6);
    const { bands } = radialSpectrum(board, [8, 8]);
    expect(bands.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 10);
  });

  it('follow a planted power law', () => {
    const grid = [16, 16] as const;
    const energy = Float64Array.from({ length: 256 }, (_, at) => Math.hypot(Math.floor(at / 16), at % 16, 1e-9) ** -2);
    expect(Math.abs(radialSpectrum(energy, grid).slope - 2)).toBeLessThan(0.1);
  });
});

it('in pixels tokens of 16 × 16 and of 32 × 32 have as much in common near and far', () => {
  const measured = [16, 32].map(side => {
    const distances = pixels.distances([side, side]);
    const cosines = distances.map(distance => Math.exp(-distance / 60));
    return localVersusDistant(cosines, distances, pixels)!;
  });
  expect(Math.abs(measured[0] - measured[1])).toBeLessThan(0.06);
  expect(localVersusDistant(new Float64Array(4), pixels.distances([2, 1]), pixels)).toBeUndefined();
});

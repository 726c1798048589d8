import { describe, expect, test } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { automaticTimeShift, DEFAULT_SAMPLER, drawTimes, shiftOf } from '../../src/diffusion/index.js';
import { SAMPLERS, type SamplerName } from '../../src/diffusion/samplers/names.js';
import type { TrainingTimes } from '../../src/diffusion/index.js';

/* t = 0 is noise, t = 1 data; published time shifts are for times that run the other way. */

const UNIFORM: TrainingTimes = { distribution: 'uniform', mean: 0, std: 1, timeShift: 1 };
const LOGNORMAL: TrainingTimes = { ...UNIFORM, distribution: 'lognormal' };

const drawn = (times: TrainingTimes, count = 20_000) =>
  drawTimes(times, 'linear', new RandomNumbers(3).for('times'), count);
const meanOf = (values: Float64Array): number => values.reduce((sum, value) => sum + value / values.length, 0);
const quantile = (values: Float64Array, q: number): number => values.slice().sort()[Math.floor(q * values.length)];

async function timesOf(name: SamplerName, settings: object, [start, end] = [0, 1]): Promise<number[]> {
  const { offered } = await SAMPLERS[name].load();
  return Array.from(offered.times({ ...DEFAULT_SAMPLER, ...settings }, start, end));
}

describe('the published time shift', () => {
  test.each([
    ['RAE: 256 tokens of 768 channels', 256, 768, 6.928],
    ['MAETok: 128 of 32, as many numbers as SD-VAE’s', 128, 32, 1],
    ['VA-VAE: 256 of 32', 256, 32, 1.414],
    ['smaller latents are shifted towards the data', 16, 16, 0.25],
  ])('%s', (_, tokens, channels, expected) => {
    expect(automaticTimeShift({ tokens, channels })).toBeCloseTo(expected, 3);
  });

  // a t / (1 + (a − 1) t) with a = 4 of 0.2, which is our 0.8: 0.8 / 1.6 = 0.5, which is our 0.5.
  test('moves training times towards the noise: 0.8 becomes 0.5 under a shift of 4', () => {
    const [before, after] = [drawn(UNIFORM), drawn({ ...UNIFORM, timeShift: 4 })];
    const at = before.reduce((best, t, i) => (Math.abs(t - 0.8) < Math.abs(before[best] - 0.8) ? i : best), 0);
    expect(after[at]).toBeCloseTo(0.5, 3);
    after.forEach((t, i) => {
      const published = 1 - before[i];
      expect(1 - t).toBeCloseTo((4 * published) / (1 + 3 * published), 12);
    });
    // The mean by numerical integration (SciPy), and the share below 0.1: 1 − 0.9 / (4 − 3 · 0.9).
    expect(meanOf(after)).toBeCloseTo(0.2828, 2);
    expect(after.filter(t => t < 0.1).length / after.length).toBeCloseTo(0.3077, 2);
  });

  test('of log-normal times is a mean that is lower by its logarithm', () => {
    const shifted = drawn({ ...LOGNORMAL, mean: -0.75, std: 0.8, timeShift: 2 }, 50);
    const lower = drawn({ ...LOGNORMAL, mean: -0.75 - Math.log(2), std: 0.8 }, 50);
    shifted.forEach((t, i) => expect(t).toBeCloseTo(lower[i], 12));
  });

  test('of 1 changes no digit', () => {
    expect(drawn(UNIFORM, 50)).toEqual(Float64Array.from(new RandomNumbers(3).for('times').uniforms(50)));
  });
});

describe('log-normal times', () => {
  // Quantiles and mean of sigmoid(−0.75 + 0.8 z) by SciPy.
  test('have the mean and deviation of log(α/σ) that are asked for', () => {
    const times = drawn({ ...LOGNORMAL, mean: -0.75, std: 0.8 });
    expect(meanOf(times)).toBeCloseTo(0.3409, 2);
    [
      [0.1, 0.1449],
      [0.5, 0.3208],
      [0.9, 0.5684],
    ].forEach(([q, expected]) => expect(quantile(times, q)).toBeCloseTo(expected, 2));
  });
});

describe('the times of a sampler', () => {
  /* 1 − sigmas of diffusers 0.42.1's FlowMatchEulerDiscreteScheduler(shift) given sigmas 1, 0.8, …, 0.2; RAE's grid at 6.93. */
  test.each([
    [3, [0, 0.07692301, 0.18181819, 0.3333333, 0.57142854, 1]],
    [Math.sqrt(48), [0, 0.03482771, 0.08777857, 0.17797393, 0.36602545, 1]],
  ])('under a published shift of %d', async (timeShift, expected) => {
    const times = await timesOf('euler', { steps: 5, shift: shiftOf(timeShift) });
    times.forEach((t, i) => expect(t).toBeCloseTo(expected[i], 6));
  });

  test('under LightningDiT’s shift, whose time is ours', async () => {
    const times = await timesOf('euler', { steps: 5, shift: 0.3 });
    [0, 0.06976744, 0.16666667, 0.31034483, 0.54545455, 1].forEach((t, i) => expect(times[i]).toBeCloseTo(t, 7));
  });

  test('keep their distance from the ends, and the size of the last step into the data', async () => {
    const noise = await timesOf('heun', { steps: 4, shift: 0.125 }, [1e-3, 1 - 1e-3]);
    expect([noise[0], noise.at(-1)]).toEqual([1e-3, 1 - 1e-3]);
    const stochastic = await timesOf('sde', { steps: 4, shift: 0.125, lastStepSize: 0.04 });
    expect(stochastic.slice(-2)).toEqual([0.96, 1]);
    for (const times of [noise, stochastic]) times.slice(1).forEach((t, i) => expect(t).toBeGreaterThan(times[i]));
  });
});

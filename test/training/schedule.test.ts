import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { learningRate } from '../../src/training/schedule.js';

const cosine = { lr: 2e-4, schedule: 'cosine', warmup: 10, warmupLr: 1e-5, finalLr: 0.1, steps: 100 } as const;

describe('the learning rate', () => {
  it('warms up in a line, then follows the cosine counted from step 0', () => {
    expect(learningRate(cosine, 0)).toBe(1e-5);
    expect(learningRate(cosine, 5)).toBeCloseTo(1e-5 + (1.9e-4 * 5) / 10, 12);
    expect(learningRate(cosine, 50)).toBeCloseTo(2e-5 + 1.8e-4 * 0.5, 12);
    expect(learningRate(cosine, 100)).toBeCloseTo(2e-5, 12);
  });

  it('is the one that MAETok’s authors’ trainer uses', () => {
    const path = new URL('../../fixtures/golden/learning-rate.json', import.meta.url);
    const { values } = JSON.parse(readFileSync(path, 'utf8')) as { values: number[] };
    const schedule = { ...cosine, warmup: 20, steps: 80 };
    expect(values.map((_, step) => learningRate(schedule, step))).toBeAllClose(values, { rtol: 1e-9 });
  });

  it('can stay constant', () => {
    expect(learningRate({ ...cosine, schedule: 'constant', warmup: 0 }, 77)).toBe(2e-4);
  });
});

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { normalCdf, normalQuantile } from '../../src/statistics/index.js';
describe('the normal distribution', () => {
  it('has the published values', () => {
    // scipy.stats.norm.cdf and ppf.
    expect(normalCdf(0)).toBe(0.5);
    expect(normalCdf(1.959963984540054)).toBeCloseTo(0.975, 15);
    expect(normalCdf(-0.8)).toBeCloseTo(0.21185539858339664, 15);
    expect(normalQuantile(0.001)).toBeCloseTo(-3.090232306167813, 12);
    expect(normalQuantile(0.9)).toBeCloseTo(1.2815515655446004, 13);
  });

  it('quantiles undo probabilities', () => {
    fc.assert(
      fc.property(fc.double({ min: -5, max: 5, noNaN: true }), x => {
        expect(Math.abs(normalQuantile(normalCdf(x)) - x)).toBeLessThan(1e-8);
      }),
    );
  });
});

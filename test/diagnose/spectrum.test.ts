import { describe, expect, it } from '@jest/globals';
import {
  conditionNumber,
  effectiveRank,
  isoScore,
  numericalRank,
  participationRatio,
  powerLaw,
  stableRank,
} from '../../src/diagnose/index.js';

const equal = (count: number, zeros = 0): Float64Array =>
  Float64Array.from({ length: count + zeros }, (_, i) => (i < count ? 3 : 0));

describe('a spectrum of r equal eigenvalues', () => {
  it.each([1, 5, 32])('has every rank equal to r = %d, however many others are zero', r => {
    for (const measure of [numericalRank, effectiveRank, participationRatio, stableRank])
      expect(measure(equal(r, 7))).toBeCloseTo(r, 10);
    expect(conditionNumber(equal(r, 7))).toBe(1);
  });

  it('is isotropic if all directions are equal, and not at all if one direction holds everything', () => {
    expect(isoScore(equal(8))).toBeCloseTo(1, 12);
    expect(isoScore(equal(1, 7))).toBe(0);
  });
});

describe('IsoScore', () => {
  it('is what its definition gives, step by step', () => {
    const spectrum = Float64Array.of(4, 2, 1, 0.5);
    const norm = Math.hypot(...spectrum);
    const normalised = spectrum.map(value => (2 * value) / norm);
    const defect = Math.hypot(...normalised.map(value => value - 1)) / Math.sqrt(2 * (4 - 2));
    const share = (4 - defect ** 2 * (4 - 2)) ** 2 / 16;
    expect(isoScore(spectrum)).toBeCloseTo((4 * share - 1) / 3, 12);
  });
});

describe('the power law', () => {
  it.each([0.5, 1, 2])('finds a planted slope of %d', slope => {
    const spectrum = Float64Array.from({ length: 200 }, (_, i) => (i + 1) ** -slope);
    const { slope: found, ranks, r2 } = powerLaw(spectrum);
    expect(found).toBeCloseTo(slope, 10);
    expect(r2).toBeCloseTo(1, 10);
    expect(ranks).toEqual([11, 100]);
  });

  it('stays within the directions that vary', () => {
    const spectrum = Float64Array.from({ length: 60 }, (_, i) => (i < 30 ? (i + 1) ** -1 : 0));
    expect(powerLaw(spectrum)).toMatchObject({ ranks: [1, 23] });
    expect(powerLaw(spectrum).slope).toBeCloseTo(1, 10);
  });
});

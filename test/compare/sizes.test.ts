import { describe, expect, it } from '@jest/globals';
import { chooseSizes } from '../../src/compare/index.js';

const spaces = (rows: number) =>
  ['a', 'b'].map(name => ({ name, path: `${name}.npz`, rows, dims: 64, labelled: true }));
/** An analysis of which 300 rows take a tenth of a second, and whose time grows by this power of the rows. */
const timing = (power: number) => ({
  sizes: [300, 900] as [number, number],
  seconds: [0.1, 0.1 * 3 ** power] as [number, number],
});
const timings = (power = 1) => ({
  mixtures: { ...timing(power), components: 8, dims: 20 },
  probes: timing(power),
  diagnosis: timing(power),
  embedding: timing(power),
  diffusion: undefined,
});

describe('the sizes of a comparison', () => {
  it('are all rows where there is time for them', () => {
    const sizes = chooseSizes(spaces(2000), timings(), 60);
    expect([sizes.mixtures, sizes.probes, sizes.diagnosis, sizes.embedding].map(({ rows }) => rows)).toEqual(
      Array.from({ length: 4 }, () => 2000),
    );
    // Rows to fit for each component, twice as many as it has axes: 1,600 of 2,000 for 40, 1,200 of 1,500 for 20.
    expect(sizes.mixtures.components.at(-1)).toBe(40);
    expect(chooseSizes(spaces(1500), timings(), 60).mixtures.components.at(-1)).toBe(20);
    // At least ten: 160 components of four axes.
    const few = { ...timings(), mixtures: { ...timings().mixtures, dims: 4 } };
    expect(chooseSizes(spaces(2000), few, 60).mixtures.components.at(-1)).toBe(160);
  });

  it('are within the time given, which more of it relaxes', () => {
    const [short, long] = [1, 10].map(minutes => chooseSizes(spaces(1_000_000), timings(1.5), minutes));
    const { mixtures, probes, diagnosis, embedding } = short;
    const seconds = [mixtures, probes, diagnosis, embedding].reduce((sum, one) => sum + one.seconds, 0);
    expect(seconds).toBeGreaterThan(40);
    expect(seconds).toBeLessThanOrEqual(60);
    expect(long.diagnosis.rows).toBeGreaterThan(3 * diagnosis.rows);
  });

  it('keep twenty rows for each axis of a mixture, of the rows that it is fitted to', () => {
    const needed = { ...timings(1.5), mixtures: { ...timings(1.5).mixtures, dims: 300 } };
    const { mixtures } = chooseSizes(spaces(1_000_000), needed, 0.5);
    expect(mixtures.rows).toBeLessThan(6000);
    expect(mixtures.dims).toBe(Math.floor(mixtures.rows / 20));
    expect(chooseSizes(spaces(10_000), needed, 10_000).mixtures.dims).toBe(300);
  });

  it('give most of the time to training where a diffusion model is asked for', () => {
    const diffusion = { sizes: [5, 20] as [number, number], seconds: [3, 4.5] as [number, number] };
    const sizes = chooseSizes(spaces(2000), { ...timings(), diffusion }, 10);
    // 360 of 600 s for two spaces at 0.1 s a step.
    expect(sizes.diffusion).toEqual({ steps: 1800, seconds: expect.closeTo(360, 6) });
  });
});

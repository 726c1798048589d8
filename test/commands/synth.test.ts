import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, jest } from '@jest/globals';
import { maetok } from '../helpers/cli.js';
import { rowsOf } from '../helpers/csv.js';
import { tempFolder } from '../helpers/temp.js';

// Seconds where the machine is free; many small steps where it is not.
jest.setTimeout(300_000);

const folder = tempFolder();
const path = (name: string): string => join(folder, name);

describe('maetok synth modes', () => {
  it('few distant modes are drawn wider than many close ones, and are fitted better by fewer components', async () => {
    const { code, stdout, stderr } = await maetok(
      ...['synth', 'modes', '--modes', '12,3', '--separations', '1,6', '--dims', '4', '--num', '300'],
      ...['--components', '1,3,12', '--chart', path('nll.svg'), '--picture', path('umap.svg')],
    );
    expect(code).toBe(0);
    const rows = rowsOf(stdout);
    expect(rows).toHaveLength(6);
    const [close, distant] = ['A (12 modes)', 'B (3 modes)'].map(name => rows.filter(row => row.source === name));
    expect(Number(distant[0].umap_area)).toBeGreaterThan(Number(close[0].umap_area));
    expect(Math.min(...distant.map(({ nll }) => Number(nll)))).toBeLessThan(
      Math.min(...close.map(({ nll }) => Number(nll))),
    );
    // All of the gain is there at three components.
    expect(Number(distant[1].gain)).toBeGreaterThan(Number(distant[2].gain) - 0.2);
    expect(stderr).toMatch(/B \(3 modes\): 3 modes at separation 6; held-out nll is lowest, .*, at 3 components/);
    expect(readFileSync(path('nll.svg'), 'utf8')).toContain('mixture components');
    expect(readFileSync(path('umap.svg'), 'utf8')).toContain('B (3 modes)');
  });

  it('one separation per space is required', async () => {
    const { code, stderr } = await maetok('synth', 'modes', '--modes', '5,6,7', '--quiet');
    expect(code).toBe(2);
    expect(stderr).toMatch(/--separations: 2 values for the 3 spaces/);
  });
});

describe('maetok synth diffusion', () => {
  it('gives floor, loss and excess of every network, slopes with intervals, and says what the floor does', async () => {
    const { code, stderr } = await maetok(
      ...['synth', 'diffusion', '--components', '1,6', '--separations', '1,4', '--dims', '6', '--rows', '40,400'],
      ...['--repeats', '1', '--steps', '4', '--width', '32', '--depth', '1', '--batch-size', '64'],
      ...['--out', path('excess.csv'), '--slopes', path('slopes.csv'), '--chart', path('excess.svg')],
    );
    expect(code).toBe(0);
    const rows = rowsOf(readFileSync(path('excess.csv'), 'utf8'));
    expect(rows).toHaveLength(8);
    for (const { loss, floor, excess } of rows) {
      expect(Number(excess)).toBeGreaterThan(0);
      expect(Number(loss)).toBeCloseTo(Number(floor) + Number(excess), 10);
    }
    // One Gaussian of unit variance: π/2, whatever the separation.
    for (const { components, floor } of rows) if (components === '1') expect(Number(floor)).toBeCloseTo(Math.PI / 2, 2);
    const floorAt = (separation: string): number =>
      Number(rows.find(row => row.components === '6' && row.separation === separation)!.floor);
    expect(floorAt('4')).toBeLessThan(0.8 * floorAt('1'));
    const slopes = rowsOf(readFileSync(path('slopes.csv'), 'utf8'));
    expect(slopes.map(({ predictor }) => predictor)).toEqual([
      ...['components', 'training_rows', 'components', 'training_rows'],
    ]);
    expect(stderr).toMatch(/separation 4, 6 dimensions: excess ∝ modes\^/);
    expect(stderr).toMatch(/the floor itself varies by up to/);
    expect(readFileSync(path('excess.svg'), 'utf8')).toContain('training rows');
  });
});

it('maetok synth alone asks for an experiment', async () => {
  const { code, stderr } = await maetok('synth');
  expect(code).toBe(2);
  expect(stderr).toMatch(/synth needs a <experiment>/);
});

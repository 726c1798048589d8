import { describe, expect, it } from '@jest/globals';
import { planStudy } from '../../src/compare/index.js';
import { checkStudy } from '../../src/compare/study.js';
import { judgeClaims, summarise } from '../../src/compare/summary.js';
import type { StudyTables } from '../../src/compare/tables.js';
import type { Table, TableRow } from '../../src/report/index.js';

const table = (...rows: TableRow[]): Table => ({
  name: 't',
  columns: [...new Set(rows.flatMap(row => Object.keys(row)))],
  rows,
});

/** Probe accuracies by source, one per seed. */
function tables(accuracies: Record<string, number[]>): StudyTables {
  const probe = Object.entries(accuracies).flatMap(([source, own]) =>
    own.map((accuracy, seed) => ({
      source,
      seed,
      feature: 'flattened',
      probe: 'logistic',
      control: 'none',
      dims: 256,
      accuracy,
      accuracy_low: accuracy - 0.1,
      accuracy_high: accuracy + 0.1,
    })),
  );
  const loss = (step: number, loss_normalised: number) => ({
    source: 'mae',
    seed: 0,
    split: 'heldout',
    weights: 'ema',
    bin: 'all',
    step,
    loss_normalised,
  });
  const none = table();
  return {
    nll: none,
    probe: table(...probe),
    diffusion: table(loss(100, 0.8), loss(50, 0.9)),
    validation: none,
    reconstruction: none,
    generation: none,
  };
}

const study = (seeds: number[]) =>
  checkStudy(
    {
      data: 'images',
      seeds,
      tokenizers: { mae: { train: 'maetok' }, ae: { train: 'ae' } },
      expect: [{ claim: 'more discriminative', measure: 'probe', better: 'mae', worse: 'ae' }],
    },
    'study',
    '.',
  );

describe('the summary of a study', () => {
  it('of one seed gives each measurement with its own interval, and the loss after the last step', () => {
    const one = study([0]);
    const { rows, columns } = summarise(one, planStudy(one, 'out'), tables({ mae: [0.5], ae: [0.4] }));
    expect(columns).toEqual(expect.arrayContaining(['probe', 'diffusion_loss']));
    // Nothing was measured of mixtures, so there is no column for them.
    expect(columns).not.toContain('gain');
    expect(rows[0]).toMatchObject({ source: 'mae', probe: 0.5, probe_low: 0.4, diffusion_loss: 0.8 });
    expect(rows[1]).toMatchObject({ source: 'ae', probe: 0.4, diffusion_loss: null });
  });

  it('gives the conditions of each measure in separate columns', () => {
    const one = study([0]);
    const fit = { source: 'mae', seed: 0, control: 'none', dims: 15, components: 50, nll_per_dim: 1.2, gain: 3 };
    const fd = { source: 'mae', seed: 0, metric: 'fd', features: 'hog', images: 64, value: 7 };
    const { rows, columns } = summarise(one, planStudy(one, 'out'), {
      ...tables({ mae: [0.5] }),
      nll: table({ ...fit, components: 10 }, fit),
      generation: table(fd),
    });
    expect(columns).not.toContain('dims');
    expect(rows[0]).toMatchObject({
      nll_dims: 15,
      nll_components: 50,
      probe_kind: 'logistic',
      probe_dims: 256,
      diffusion_step: 100,
      generation_features: 'hog',
      generation_images: 64,
    });
  });

  it('of seeds that differ in what a measure holds for gives every value', () => {
    const two = study([0, 1]);
    const probe = [15, 16].map((dims, seed) => ({
      source: 'mae',
      seed,
      feature: 'flattened',
      probe: 'logistic',
      control: 'none',
      dims,
      accuracy: 0.5,
    }));
    const { rows } = summarise(two, planStudy(two, 'out'), { ...tables({}), probe: table(...probe) });
    expect(rows[0]).toMatchObject({ probe_dims: '15; 16', probe_kind: 'logistic' });
  });

  it('of several seeds gives means with Student’s interval', () => {
    const three = study([0, 1, 2]);
    const { rows } = summarise(three, planStudy(three, 'out'), tables({ mae: [0.5, 0.6, 0.7], ae: [0.4, 0.4, 0.4] }));
    expect(rows[0].probe).toBeCloseTo(0.6, 12);
    // 0.6 ± 4.303 · 0.1 / √3
    expect(rows[0].probe_low).toBeCloseTo(0.6 - 0.24843, 4);
    expect(rows[1].probe_low).toBeCloseTo(0.4, 12);
  });
});

describe('what a paper measured of the same tokenizers', () => {
  const about = { data: 'images', tokenizers: { mae: { train: 'maetok' }, ae: { train: 'ae' } } };
  const beside = (rows: object) => checkStudy({ ...about, paper: { from: 'Table 1', rows } }, 'study', '.');

  it('precedes what is measured here', () => {
    const one = beside({ mae: { rfid: 0.85 }, ae: { rfid: 0.67, gfid: 24.47 } });
    const { rows, columns } = summarise(one, planStudy(one, 'out'), tables({ mae: [0.5], ae: [0.4] }));
    expect(columns.slice(0, 5)).toEqual(['source', 'paper_rfid', 'paper_gfid', 'probe', 'probe_low']);
    expect(rows[0]).toMatchObject({ paper_rfid: 0.85, probe: 0.5 });
    expect(rows[1]).toMatchObject({ paper_gfid: 24.47 });
  });

  it('is refused for a tokenizer that the study has not', () => {
    expect(() => beside({ vq: { rfid: 1 } })).toThrow("study: paper.rows: there is no tokenizer 'vq'");
  });
});

describe('an expected ordering', () => {
  it.each([
    ['clear of zero over seeds', { mae: [0.5, 0.6, 0.55], ae: [0.4, 0.5, 0.46] }, 'holds'],
    ['clear the other way', { mae: [0.4, 0.5, 0.46], ae: [0.5, 0.6, 0.55] }, 'does not hold'],
    ['not clear', { mae: [0.5, 0.3, 0.4], ae: [0.4, 0.4, 0.41] }, 'undecided'],
    ['one seed', { mae: [0.5], ae: [0.4] }, 'as expected (one seed)'],
    ['one seed, the other way', { mae: [0.4], ae: [0.5] }, 'not as expected (one seed)'],
  ])('%s', (_, accuracies, verdict) => {
    const seeds = accuracies.mae.map((_, seed) => seed);
    expect(judgeClaims(study(seeds), tables(accuracies)).rows[0].verdict).toBe(verdict);
  });
});

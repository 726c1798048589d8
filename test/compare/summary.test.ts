import { describe, expect, it } from '@jest/globals';
import { checkStudy } from '../../src/compare/study.js';
import { judgeClaims } from '../../src/compare/claims.js';
import { differenceOf } from '../../src/compare/difference.js';
import { summarise } from '../../src/compare/summary.js';
import { verdict } from '../../src/compare/verdict.js';
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
    latents: none,
    nll: none,
    best: none,
    umap: none,
    umapQuality: none,
    floor: none,
    diagnose: none,
    evaluations: none,
    probe: table(...probe),
    diffusion: table(loss(100, 0.8), loss(50, 0.9)),
    validation: none,
    reconstruction: none,
    generation: none,
    trajectories: none,
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
    const { rows, columns } = summarise(one, tables({ mae: [0.5], ae: [0.4] }));
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
    const { rows, columns } = summarise(one, {
      ...tables({ mae: [0.5] }),
      nll: table({ ...fit, components: 10, nll_per_dim: 1.3 }, fit),
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
    const { rows } = summarise(two, { ...tables({}), probe: table(...probe) });
    expect(rows[0]).toMatchObject({ probe_dims: '15; 16', probe_kind: 'logistic' });
  });

  it('has a column for every number that the tables hold, named by the measure and what tells its rows apart', () => {
    const one = study([0]);
    const of = (source: string) => (measure: string, setting: string, value: number) => ({
      source,
      seed: 0,
      measure,
      setting,
      value,
    });
    const mae = of('mae');
    const diagnose = table(
      mae('viv', 'classes=4 rows=89-116', 1.1),
      mae('lnc', 'k=5 cosine', 0.7),
      mae('lnc', 'k=5 l2', 0.6),
      mae('sec', 'above=0.25', 0.4),
      mae('sec', 'above=0.5', 0.2),
      mae('cds', 'cells 1-8', 0.1),
      mae('cds', 'px 24-104 per 16', 0.3),
      of('ae')('viv', 'classes=4 rows=90-110', 1.2),
    );
    const psnr = { source: 'mae', seed: 0, metric: 'psnr', variant: '', value: 20 };
    const { columns, rows } = summarise(one, {
      ...tables({ mae: [0.5], ae: [0.4] }),
      latents: table({ source: 'mae', seed: 0, tokens: 8, channels: 4, dims: 32 }),
      diagnose,
      reconstruction: table(psnr, { ...psnr, metric: 'ssim', value: 0.9 }),
      evaluations: table({ ...psnr, evaluation: 'interpolation', metric: 'ifid', value: 14 }),
      trajectories: table({ source: 'mae', seed: 0, measure: 'straightness', value: 0.9 }),
    });
    expect(rows[0]).toMatchObject({
      straightness: 0.9,
      ...{ dims: 32, viv: 1.1, lnc_k5_cosine: 0.7, lnc_k5_l2: 0.6, 'sec_above_0.25': 0.4, 'sec_above_0.5': 0.2 },
      ...{ cds_cells: 0.1, cds_px: 0.3, reconstruction: 20, reconstruction_ssim: 0.9, interpolation_ifid: 14 },
    });
    expect(rows[1]).toMatchObject({ viv: 1.2, lnc_k5_l2: null });
    // What has a name of its own already, and what is empty throughout, has no further column.
    for (const column of ['reconstruction_psnr', 'probe_logistic', 'viv_low', 'family'])
      expect(columns).not.toContain(column);
  });

  it('describes mixtures where held-out rows do it best, not where the fit has most components', () => {
    const one = study([0]);
    const fit = (components: number, nll_per_dim: number, gain: number, control = 'none') => ({
      ...{ source: 'mae', seed: 0, control, dims: 10, components, nll_per_dim, gain, modes: components - 1 },
      ...{ nll_low: 10 * nll_per_dim - 1, nll_high: 10 * nll_per_dim + 1, effective_components: components / 2 },
    });
    const floor = (components: number, loss: number) => ({ source: 'mae', seed: 0, components, t: 0.5, loss });
    const { rows } = summarise(one, {
      ...tables({}),
      nll: table(fit(5, 1.2, 2), fit(20, 1.1, 3), fit(50, 1.3, 1), fit(20, 1.4, 0.1, 'surrogate')),
      floor: table(floor(5, 9), floor(20, 0.5), floor(20, 0.7), floor(50, 0.1)),
    });
    expect(rows[0]).toMatchObject({
      nll_per_dim: 1.1,
      gain: 3,
      best_components: 20,
      effective_components: 10,
      modes: 19,
    });
    expect(rows[0]).toMatchObject({ gain_surrogate: 0.1, nll_components: 20 });
    expect(rows[0].floor).toBeCloseTo(0.6, 12);
    expect(rows[0].nll_per_dim_low).toBeCloseTo(1, 12);
  });

  it('of several diffusion models on one latent space gives their mean and spread', () => {
    const one = { ...study([0]), 'diffusion-seeds': [0, 1] };
    const loss = (diffusion_seed: number, loss_normalised: number) => ({
      ...{ source: 'mae', seed: 0, diffusion_seed, split: 'heldout', weights: 'ema', bin: 'all', step: 9 },
      loss_normalised,
    });
    const { rows } = summarise(one, { ...tables({ mae: [0.5] }), diffusion: table(loss(0, 0.7), loss(1, 0.9)) });
    expect(rows[0].diffusion_loss).toBeCloseTo(0.8, 12);
    // 0.8 ± 12.71 · 0.1
    expect(rows[0].diffusion_loss_high).toBeCloseTo(0.8 + 1.2706, 3);
    expect(rows[0]).toMatchObject({ probe: 0.5, diffusion_seeds: 2 });
  });

  it('of several seeds gives means with Student’s interval', () => {
    const three = study([0, 1, 2]);
    const { rows } = summarise(three, tables({ mae: [0.5, 0.6, 0.7], ae: [0.4, 0.4, 0.4] }));
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
    const { rows, columns } = summarise(one, tables({ mae: [0.5], ae: [0.4] }));
    expect(columns.slice(0, 5)).toEqual(['source', 'paper_rfid', 'paper_gfid', 'probe', 'probe_low']);
    expect(rows[0]).toMatchObject({ paper_rfid: 0.85, probe: 0.5 });
    expect(rows[1]).toMatchObject({ paper_gfid: 24.47 });
  });

  it('is refused for a tokenizer that the study has not', () => {
    expect(() => beside({ vq: { rfid: 1 } })).toThrow("study: paper.rows: there is no tokenizer 'vq'");
  });
});

describe('a claim', () => {
  it.each([
    ['clear of zero over seeds', { mae: [0.5, 0.6, 0.55], ae: [0.4, 0.5, 0.46] }, 'supported'],
    ['clear the other way', { mae: [0.4, 0.5, 0.46], ae: [0.5, 0.6, 0.55] }, 'not supported'],
    ['not clear', { mae: [0.5, 0.3, 0.4], ae: [0.4, 0.4, 0.41] }, 'undecided'],
    ['one seed, within the rows’ own intervals', { mae: [0.5], ae: [0.4] }, 'undecided'],
    ['one seed, beyond them', { mae: [0.6], ae: [0.4] }, 'supported'],
    ['not measured', { mae: [0.6] }, 'undecided'],
  ])('%s', (_, accuracies, verdict) => {
    const seeds = accuracies.mae.map((_, seed) => seed);
    expect(judgeClaims(study(seeds), tables(accuracies)).rows[0].verdict).toBe(verdict);
  });

  it('of one seed says what its interval covers, and is as wide as both measurements', () => {
    const [row] = judgeClaims(study([0]), tables({ mae: [0.6], ae: [0.4] })).rows;
    expect(row).toMatchObject({ over: 'rows', seeds: 1 });
    expect(row.advantage_low).toBeCloseTo(0.2 - Math.hypot(0.1, 0.1), 12);
  });
});

describe('what a study says', () => {
  const said = (seeds: number[], accuracies: Record<string, number[]>) => {
    const [one, measured] = [study(seeds), tables(accuracies)];
    // Only the probes are looked at.
    const all = { ...measured, diffusion: table() };
    return verdict(one, all, summarise(one, all), judgeClaims(one, all));
  };

  it('names the best with its uncertainty, and what would tell them apart', () => {
    const { question, answer, wouldChange } = said([0, 1, 2], { mae: [0.5, 0.6, 0.55], ae: [0.45, 0.6, 0.52] });
    expect(question).toMatch(/Which of mae and ae/);
    expect(answer).toHaveLength(2);
    expect(answer[0]).toMatch(/^mae has the highest probe accuracy, 0\.55 .*cannot be told apart .*over seeds/);
    expect(answer[1]).toMatch(/1 claim 0 are supported, 0 not supported and 1 undecided/);
    // 0.0267 ± t · 0.0252 / √n
    expect(wouldChange[0]).toMatch(/about 6 instead of 3/);
  });

  it('of one seed never calls a difference certain beyond its rows', () => {
    const { answer, wouldChange } = said([0], { mae: [0.9], ae: [0.4] });
    expect(answer[0]).toMatch(/clear of zero .*over rows/);
    expect(wouldChange[0]).toMatch(/More seeds: with one/);
    expect(said([0], { mae: [0.5], ae: [0.4] }).wouldChange.join(' ')).toMatch(/2 times as many/);
  });

  describe('of mixtures', () => {
    const best = (source: string, components: number, at_largest: boolean) => ({
      ...{ source, seed: 0, at_largest: String(at_largest), best_components: components },
      ...{ best_components_low: components, best_components_high: components },
      ...{ effective_components: components - 0.5 },
      ...{ effective_components_low: components - 0.5, effective_components_high: components - 0.5 },
    });
    const one = study([0]);
    const of = (probes: Record<string, number[]>, ...rows: TableRow[]) => {
      const all = { ...tables(probes), diffusion: table(), best: table(...rows) };
      return { all, ...verdict(one, all, summarise(one, all), judgeClaims(one, all)) };
    };

    it('says nothing by counts that end where the sweep ends', () => {
      const { answer, wouldChange } = of({ mae: [0.9], ae: [0.4] }, best('mae', 20, true), best('ae', 20, true));
      expect(answer[0]).toMatch(/^mae has the highest probe accuracy/);
      expect(wouldChange.join('\n')).toMatch(/More components: of mae and ae/);
    });

    it('says which needs the fewest components where neither does', () => {
      const { answer } = of({ mae: [0.5], ae: [0.5] }, best('mae', 5, false), best('ae', 20, false));
      expect(answer[0]).toMatch(/^mae has the fewest components at the best held-out NLL, 5 .* clear of zero/);
    });

    it('goes on to what tells them apart', () => {
      const { answer } = of({ mae: [0.9], ae: [0.4] }, best('mae', 20, false), best('ae', 20, false));
      expect(answer[0]).toMatch(/^mae has the highest probe accuracy/);
    });

    it('knows a difference from an open count, but of no parts that were fitted once', () => {
      const { all } = of({}, best('mae', 5, false), best('ae', 20, true));
      const difference = (name: 'best_components' | 'effective_components', pair: [string, string]) =>
        differenceOf(one, all, name, pair)?.low ?? null;
      expect(difference('best_components', ['mae', 'ae'])).toBe(15);
      expect(difference('effective_components', ['mae', 'ae'])).toBeNull();
      const { all: open } = of({}, best('mae', 5, true), best('ae', 20, false));
      expect(differenceOf(one, open, 'best_components', ['mae', 'ae'])?.low).toBeNull();
    });
  });
});

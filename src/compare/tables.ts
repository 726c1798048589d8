import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openLatents } from '../latents/index.js';
import { readTable, type Table, type TableRow } from '../report/index.js';
import { fittedApart, generationTable, type DiffusionRun, type Plan, type StudySpace } from './plan.js';
import { estimate } from '../statistics/index.js';
import type { Study } from './study.js';

/**
 * Everything that a study has measured, each table with a `source` and a `seed` column, those of diffusion models also
 * with a `diffusion_seed`.
 */
export interface StudyTables {
  /** The latents themselves: tokens, channels and numbers of one image. */
  latents: Table;
  nll: Table;
  /** The mixtures at the best held-out NLL, with bootstrap intervals. */
  best: Table;
  /** The lowest diffusion loss on each mixture, by t. */
  floor: Table;
  probe: Table;
  diagnose: Table;
  /** Coordinates in the plane, and how well they keep neighbourhoods. */
  umap: Table;
  umapQuality: Table;
  /** Held-out loss by timestep and step. */
  diffusion: Table;
  /** Validation metrics of the tokenizers' training runs. */
  validation: Table;
  reconstruction: Table;
  /** The study's further evaluations, by their names in the column `evaluation`. */
  evaluations: Table;
  generation: Table;
  /** How straight the paths of the samples were. */
  trajectories: Table;
}

/** Reads the existing tables; one that no step made has no rows. */
export async function readTables(study: Study, { spaces }: Plan, out: string): Promise<StudyTables> {
  const all = async (name: string, tables: Promise<Table | undefined>[]): Promise<Table> =>
    stacked(name, await Promise.all(tables));
  const csv = (kind: string, name: string | number): string => join(out, 'tables', `${kind}-${name}.csv`);
  const ofSpaces = (path: (one: StudySpace) => string | undefined, tags: TableRow = {}) =>
    spaces.map(async one => tagged(await tableAt(path(one)), { source: one.tokenizer, seed: one.seed, ...tags }));
  const ofRuns = (path: (run: DiffusionRun) => string) =>
    spaces.flatMap(({ tokenizer: source, seed, runs }) =>
      runs.map(async run => tagged(await tableAt(path(run)), { source, seed, diffusion_seed: run.seed })),
    );
  const ofSeeds = (kind: string) => study.seeds.map(async seed => tagged(await tableAt(csv(kind, seed)), { seed }));
  const ofMixtures = (kind: string) =>
    all(kind, study.gmm !== false && fittedApart(study.gmm) ? ofSpaces(({ name }) => csv(kind, name)) : ofSeeds(kind));
  const perSpace = (kind: string) =>
    all(
      kind,
      ofSpaces(({ name }) => csv(kind, name)),
    );
  return {
    latents: await all('latents', spaces.map(latentsTable)),
    nll: await ofMixtures('nll'),
    best: await ofMixtures('best'),
    floor: await ofMixtures('diffusion-floor'),
    probe: await perSpace('probe'),
    diagnose: await perSpace('diagnose'),
    umap: await perSpace('umap'),
    umapQuality: await perSpace('umap-quality'),
    diffusion: await all(
      'diffusion',
      ofRuns(({ folder }) => join(folder, 'loss.csv')),
    ),
    validation: await all(
      'validation',
      ofSpaces(({ decoder }) => decoder && join(decoder, 'validation.csv')),
    ),
    reconstruction: await perSpace('reconstruction'),
    evaluations: await all(
      'evaluations',
      Object.keys(study.evaluations).flatMap(evaluation =>
        ofSpaces(({ name }) => csv(evaluation, name), { evaluation }),
      ),
    ),
    generation: await all('generation', generationTables(spaces, out)),
    trajectories: averaged(
      await all(
        'trajectories',
        ofRuns(({ samples }) => join(samples, 'trajectories.csv')),
      ),
      ['straightness', 'efficiency'],
    ),
  };
}

/** The tables of samples, each of the runs on all latent spaces under the same seeds. */
function generationTables(spaces: StudySpace[], out: string): Promise<Table | undefined>[] {
  const groups = spaces.flatMap(({ seed, runs }) =>
    runs.map(run => [run.group, { seed, diffusion_seed: run.seed }] as const),
  );
  return [...new Map(groups)].map(async ([group, tags]) => tagged(await tableAt(generationTable(out, group)), tags));
}

/** A table of one row per sample as one of means: a row per diffusion model and measure. */
function averaged(table: Table, measures: readonly string[]): Table {
  const keys = ['source', 'seed', 'diffusion_seed'];
  const means = measures.flatMap(measure =>
    overSeeds(table, keys, measure).rows.map(row => ({ ...row, measure, value: row[measure] ?? null })),
  );
  return { name: table.name, columns: [...keys, 'measure', 'value'], rows: means };
}

async function latentsTable({ tokenizer: source, seed, latents: path }: StudySpace): Promise<Table | undefined> {
  if (!existsSync(path.replace(/#[^/#]*$/, ''))) return undefined;
  const latents = await openLatents(path);
  const { tokens, channels, count: images } = latents;
  await latents.close();
  const row = { source, seed, tokens, channels, dims: tokens * channels, images };
  return { name: path, columns: Object.keys(row), rows: [row] };
}

const tableAt = async (path: string | undefined): Promise<Table | undefined> =>
  path !== undefined && existsSync(path) ? await readTable(path) : undefined;

function tagged(table: Table | undefined, tags: TableRow): Table | undefined {
  if (!table) return undefined;
  const columns = [...Object.keys(tags), ...table.columns.filter(column => !Object.hasOwn(tags, column))];
  return { ...table, columns, rows: table.rows.map(row => ({ ...row, ...tags })) };
}

function stacked(name: string, tables: (Table | undefined)[]): Table {
  const present = tables.filter(table => table !== undefined);
  return {
    name,
    columns: [...new Set(present.flatMap(({ columns }) => columns))],
    rows: present.flatMap(({ rows }) => rows),
  };
}

/** The rows whose columns have these values; a row without one of the columns does not match. */
export function where(table: Table, wanted: TableRow): Table {
  return {
    ...table,
    rows: table.rows.filter(row =>
      Object.entries(wanted).every(([column, value]) => String(row[column]) === String(value)),
    ),
  };
}

/**
 * One row per group of equal `keys`: the mean of `value` over seeds with Student's interval, or, for a single
 * measurement, its own interval where the table has one.
 */
export function overSeeds(table: Table, keys: string[], value: string): Table {
  const groups = new Map<string, TableRow[]>();
  for (const row of table.rows) {
    const key = JSON.stringify(keys.map(column => row[column]));
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const rows = [...groups.values()].flatMap(group => {
    const numbers = group
      .map(row => row[value])
      .filter(number => typeof number === 'number' && Number.isFinite(number)) as number[];
    if (numbers.length === 0) return [];
    const [first] = group;
    const own = { [`${value}_low`]: first[`${value}_low`] ?? null, [`${value}_high`]: first[`${value}_high`] ?? null };
    const { mean, low, high, count } = estimate(numbers);
    const kept = Object.fromEntries(keys.map(key => [key, first[key] ?? null]));
    return [
      {
        ...kept,
        [value]: mean,
        ...(count > 1 ? { [`${value}_low`]: low, [`${value}_high`]: high } : own),
        seeds: count,
      },
    ];
  });
  return { name: table.name, columns: [...keys, value, `${value}_low`, `${value}_high`, 'seeds'], rows };
}

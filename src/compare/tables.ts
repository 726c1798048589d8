import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readTable, type Table, type TableRow } from '../report/index.js';
import type { Plan, StudySpace } from './plan.js';
import { estimate } from '../statistics/index.js';
import type { Study } from './study.js';

/** Everything that a study has measured, each table with a `source` and a `seed` column. */
export interface StudyTables {
  nll: Table;
  probe: Table;
  /** Held-out loss by timestep and step. */
  diffusion: Table;
  /** Validation metrics of the tokenizers' training runs. */
  validation: Table;
  reconstruction: Table;
  generation: Table;
}

/** Reads the existing tables; one that no step made has no rows. */
export async function readTables(study: Study, { spaces }: Plan, out: string): Promise<StudyTables> {
  const perSpace = async (name: string, path: (one: StudySpace) => string | undefined): Promise<Table> =>
    stacked(
      name,
      await Promise.all(
        spaces.map(async one => tagged(await tableAt(path(one)), { source: one.tokenizer, seed: one.seed })),
      ),
    );
  const table = (kind: string) => (one: StudySpace) => join(out, 'tables', `${kind}-${one.name}.csv`);
  const sweeps = study.seeds.map(async seed => tagged(await tableAt(join(out, 'tables', `nll-${seed}.csv`)), { seed }));
  return {
    nll: stacked('nll', await Promise.all(sweeps)),
    probe: await perSpace('probe', table('probe')),
    diffusion: await perSpace('diffusion', one => join(one.diffusion, 'loss.csv')),
    validation: await perSpace('validation', one => one.decoder && join(one.decoder, 'validation.csv')),
    reconstruction: await perSpace('reconstruction', table('reconstruction')),
    generation: await perSpace('generation', table('generation')),
  };
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

import type { Table } from '../report/index.js';
import { estimate } from '../statistics/index.js';
import type { Found, Measure } from './measures.js';
import type { Study } from './study.js';
import { where, type StudyTables } from './tables.js';

/** One number of a latent space. */
export interface Measurement {
  /** Of the tokenizer, and of the diffusion model where the study has several on one latent space. */
  seed: number;
  run: number | undefined;
  found: Found;
}

/** A measure's numbers of one latent space: one per seed, or per seed and diffusion model. */
export function measurements(
  study: Study,
  tables: StudyTables,
  source: string,
  { find, perRun }: Pick<Measure, 'find' | 'perRun'>,
): Measurement[] {
  const runs = perRun ? (study['diffusion-seeds'] ?? [undefined]) : [undefined];
  return study.seeds.flatMap(seed =>
    runs.flatMap(run => {
      const found = find(tablesOf(tables, source, seed, run));
      return found ? [{ seed, run, found }] : [];
    }),
  );
}

/** The rows of one latent space, and of one diffusion model on it. */
function tablesOf(tables: StudyTables, source: string, seed: number, run: number | undefined): StudyTables {
  const wanted = { source, seed };
  const ofRun = run === undefined ? wanted : { ...wanted, diffusion_seed: run };
  return Object.fromEntries(
    Object.entries(tables).map(([kind, table]: [string, Table]) => [
      kind,
      where(table, table.columns.includes('diffusion_seed') ? ofRun : wanted),
    ]),
  ) as unknown as StudyTables;
}

/**
 * The values whose spread says what would come out again, by what they are repeated over: the seeds of the tokenizers,
 * diffusion models averaged; with one such seed, those of the diffusion models.
 */
export function repeated(measured: Measurement[]): Map<string, number> {
  const severalSeeds = new Set(measured.map(({ seed }) => seed)).size > 1;
  const groups = new Map<string, number[]>();
  for (const { seed, run, found } of measured) {
    const key = severalSeeds ? `seed ${seed}` : `run ${run}`;
    groups.set(key, [...(groups.get(key) ?? []), Number(found.row[found.column])]);
  }
  return new Map([...groups].map(([key, values]) => [key, estimate(values).mean]));
}

/** The interval that a table gives with a number. */
export function ownInterval({ row, column }: Found): { low: number; high: number } | undefined {
  const stem = column === 'value' ? '' : `${column}_`;
  const [low, high] = [row[`${stem}low`], row[`${stem}high`]];
  return typeof low === 'number' && typeof high === 'number' ? { low, high } : undefined;
}

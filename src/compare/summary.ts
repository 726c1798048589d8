import type { Table, TableRow } from '../report/index.js';
import { estimate, type Estimate } from '../statistics/index.js';
import { furtherMeasures } from './further.js';
import { MEASURES, type Found, type Measure } from './measures.js';
import { MEASURE_NAMES } from './names.js';
import type { Study } from './study.js';
import { where, type StudyTables } from './tables.js';

/**
 * One row per tokenizer with everything that the study has measured, mean over seeds and 95% interval, preceded by what
 * the paper reports for it. Columns that would be empty are left out.
 */
export function summarise(study: Study, tables: StudyTables): Table {
  const names = Object.keys(study.tokenizers);
  const measures = measuresOf(study, tables);
  const rows = names.map((source): TableRow => ({
    source,
    family: study.tokenizers[source].family ?? null,
    ...published(study, source),
    ...ofLatents(tables, source),
    ...(Object.assign({}, ...measures.map(one => cells(one, study, tables, source))) as TableRow),
    seeds: study.seeds.length,
    ...(study['diffusion-seeds'] && { diffusion_seeds: study['diffusion-seeds'].length }),
  }));
  const ofPaper = names.flatMap(source => Object.keys(published(study, source)));
  const columns = measures.flatMap(({ name, context = {} }) => [
    ...[name, `${name}_low`, `${name}_high`],
    ...Object.keys(context),
  ]);
  const all = ['source', 'family', ...ofPaper, ...LATENT_COLUMNS, ...columns, 'seeds', 'diffusion_seeds'];
  const filled = [...new Set(all)].filter(column => rows.some(row => row[column] != null));
  return { name: 'summary', columns: filled, rows };
}

const LATENT_COLUMNS = ['tokens', 'channels', 'dims'];

/** Tokens, channels and numbers of one image's latent. */
function ofLatents({ latents }: StudyTables, source: string): TableRow {
  const row = latents.rows.find(row => row.source === source) ?? {};
  return Object.fromEntries(LATENT_COLUMNS.map(column => [column, row[column] ?? null]));
}

type NamedMeasure = Pick<Measure, 'find' | 'perRun' | 'context'> & { name: string };

/** The measures that the tables hold of at least one latent space. */
function measuresOf(study: Study, tables: StudyTables): NamedMeasure[] {
  const sources = Object.keys(study.tokenizers);
  const founds = (measure: NamedMeasure): Found[] =>
    sources.flatMap(source => measurements(study, tables, source, measure).map(({ found }) => found));
  const named = MEASURE_NAMES.map(name => ({ name, ...MEASURES[name] }));
  const covered = new Set(named.flatMap(founds).map(({ row }) => row));
  return [...named, ...furtherMeasures(tables, covered)].filter(measure => founds(measure).length > 0);
}

interface Measurement {
  /** Of the tokenizer, and of the diffusion model where the study has several on one latent space. */
  seed: number;
  run: number | undefined;
  found: Found;
}

/** A measure's numbers of one latent space: one per seed, or per seed and diffusion model. */
function measurements(
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
function repeated(measured: Measurement[]): Map<string, number> {
  const severalSeeds = new Set(measured.map(({ seed }) => seed)).size > 1;
  const groups = new Map<string, number[]>();
  for (const { seed, run, found } of measured) {
    const key = severalSeeds ? `seed ${seed}` : `run ${run}`;
    groups.set(key, [...(groups.get(key) ?? []), Number(found.row[found.column])]);
  }
  return new Map([...groups].map(([key, values]) => [key, estimate(values).mean]));
}

const published = ({ paper }: Study, source: string): TableRow =>
  Object.fromEntries(Object.entries(paper?.rows[source] ?? {}).map(([column, value]) => [`paper_${column}`, value]));

/** Student's interval over several seeds; for one seed, the measurement's own interval. */
function cells(measure: NamedMeasure, study: Study, tables: StudyTables, source: string): TableRow {
  const { name, context = {} } = measure;
  const measured = measurements(study, tables, source, measure);
  if (measured.length === 0) return { [name]: null };
  const { mean, low, high, count } = estimate([...repeated(measured).values()]);
  const own = count > 1 ? { low, high } : ownInterval(measured[0].found);
  const around: TableRow = {};
  for (const [column, from] of Object.entries(context))
    around[column] = allOf(measured.map(({ found }) => found.row[from]));
  return { [name]: mean, [`${name}_low`]: own?.low ?? null, [`${name}_high`]: own?.high ?? null, ...around };
}

/** The interval that a table gives with a number. */
function ownInterval({ row, column }: Found): { low: number; high: number } | undefined {
  const stem = column === 'value' ? '' : `${column}_`;
  const [low, high] = [row[`${stem}low`], row[`${stem}high`]];
  return typeof low === 'number' && typeof high === 'number' ? { low, high } : undefined;
}

/** The value common to all seeds, or every value where they differ. */
function allOf(values: (TableRow[string] | undefined)[]): TableRow[string] {
  const different = [...new Set(values.map((value): TableRow[string] => value ?? null))];
  return different.length === 1 ? different[0] : different.join('; ');
}

export type ClaimVerdict =
  'holds' | 'does not hold' | 'undecided' | 'as expected (one seed)' | 'not as expected (one seed)';

/**
 * Checks each expected ordering against the measurements. With several seeds the paired differences must exclude 0
 * (95%); one seed only gives the direction of the difference.
 */
export function judgeClaims(study: Study, tables: StudyTables): Table {
  const rows = study.expect.flatMap(({ claim, measure: name, better, worse }): TableRow[] => {
    const sign = MEASURES[name].better === 'higher' ? 1 : -1;
    const [a, b] = [better, worse].map(source => repeated(measurements(study, tables, source, MEASURES[name])));
    const differences = [...a].flatMap(([key, value]) => {
      // Both perfect: the difference of two infinite PSNRs says nothing.
      const difference = sign * (value - (b.get(key) ?? NaN));
      return Number.isNaN(difference) ? [] : [difference];
    });
    if (differences.length === 0) return [];
    const { mean, low, high, count } = estimate(differences);
    return [
      {
        claim,
        measure: name,
        better,
        worse,
        advantage: mean,
        advantage_low: count > 1 ? low : null,
        advantage_high: count > 1 ? high : null,
        seeds: count,
        verdict: verdict({ mean, low, high, count }),
      },
    ];
  });
  return {
    name: 'claims',
    columns: [
      'claim',
      'measure',
      'better',
      'worse',
      'advantage',
      'advantage_low',
      'advantage_high',
      'seeds',
      'verdict',
    ],
    rows,
  };
}

function verdict({ mean, low, high, count }: Estimate): ClaimVerdict {
  if (count < 2) return mean > 0 ? 'as expected (one seed)' : 'not as expected (one seed)';
  if (low > 0) return 'holds';
  return high < 0 ? 'does not hold' : 'undecided';
}

import type { Table, TableRow } from '../report/index.js';
import { estimate } from '../statistics/index.js';
import { furtherMeasures } from './further.js';
import { measurements, ownInterval, repeated } from './measurements.js';
import { MEASURES, type Found, type Measure } from './measures.js';
import { MEASURE_NAMES } from './names.js';
import type { Study } from './study.js';
import type { StudyTables } from './tables.js';

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

/** The value common to all seeds, or every value where they differ. */
function allOf(values: (TableRow[string] | undefined)[]): TableRow[string] {
  const different = [...new Set(values.map((value): TableRow[string] => value ?? null))];
  return different.length === 1 ? different[0] : different.join('; ');
}

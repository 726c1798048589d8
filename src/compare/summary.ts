import type { Table, TableRow } from '../report/index.js';
import { MEASURES } from './measures.js';
import { MEASURE_NAMES, type MeasureName } from './names.js';
import type { Plan } from './plan.js';
import { estimate, type Estimate } from '../statistics/index.js';
import type { Study } from './study.js';
import type { StudyTables } from './tables.js';

/**
 * One row per tokenizer with every measure that the study has, mean over seeds and 95% interval, preceded by what
 * the paper reports for it.
 */
export function summarise(study: Study, { spaces }: Plan, tables: StudyTables): Table {
  const names = Object.keys(study.tokenizers);
  const measures = MEASURE_NAMES.filter(name =>
    spaces.some(({ tokenizer, seed }) => MEASURES[name].find(tables, tokenizer, seed) !== undefined),
  );
  const rows = names.map((source): TableRow => ({
    source,
    ...published(study, source),
    ...(Object.assign({}, ...measures.map(name => cells(name, study, tables, source))) as TableRow),
    seeds: study.seeds.length,
  }));
  const columns = measures.flatMap(name => [
    ...[name, `${name}_low`, `${name}_high`],
    ...Object.keys(MEASURES[name].context ?? {}),
  ]);
  const ofPaper = new Set(names.flatMap(source => Object.keys(published(study, source))));
  return { name: 'summary', columns: ['source', ...ofPaper, ...columns, 'seeds'], rows };
}

const published = ({ paper }: Study, source: string): TableRow =>
  Object.fromEntries(Object.entries(paper?.rows[source] ?? {}).map(([column, value]) => [`paper_${column}`, value]));

/** Student's interval over several seeds; for one seed, the measurement's own interval. */
function cells(name: MeasureName, { seeds }: Study, tables: StudyTables, source: string): TableRow {
  const { find, context = {} } = MEASURES[name];
  const found = seeds.map(seed => find(tables, source, seed)).filter(one => one !== undefined);
  if (found.length === 0) return { [name]: null, [`${name}_low`]: null, [`${name}_high`]: null };
  const { mean, low, high, count } = estimate(found.map(({ row, column }) => Number(row[column])));
  const [{ row, column }] = found;
  const stem = column === 'value' ? '' : `${column}_`;
  const own = count > 1 ? [low, high] : [row[`${stem}low`] ?? null, row[`${stem}high`] ?? null];
  const around: TableRow = {};
  for (const [summary, from] of Object.entries(context)) around[summary] = allOf(found.map(one => one.row[from]));
  return { [name]: mean, [`${name}_low`]: own[0], [`${name}_high`]: own[1], ...around };
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
    const measure = MEASURES[name];
    const sign = measure.better === 'higher' ? 1 : -1;
    const differences = study.seeds.flatMap(seed => {
      const [a, b] = [better, worse].map(source => measure.find(tables, source, seed));
      // Both perfect: the difference of two infinite PSNRs says nothing.
      const difference = a && b ? sign * (Number(a.row[a.column]) - Number(b.row[b.column])) : NaN;
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

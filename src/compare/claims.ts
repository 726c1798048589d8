import type { Table, TableRow } from '../report/index.js';
import { differenceOf, type Difference } from './difference.js';
import type { Study } from './study.js';
import type { StudyTables } from './tables.js';

export type ClaimVerdict = 'supported' | 'not supported' | 'undecided';

const COLUMNS = [
  ...['claim', 'measure', 'better', 'worse', 'advantage', 'advantage_low', 'advantage_high', 'over', 'seeds'],
  'verdict',
];

/**
 * Checks each expected ordering against the measurements: supported where the interval of the difference lies above 0, not
 * supported where it lies below, else undecided. Without an interval nothing is decided.
 */
export function judgeClaims(study: Study, tables: StudyTables): Table {
  const rows = study.expect.map(({ claim, measure, better, worse }): TableRow => {
    const difference = differenceOf(study, tables, measure, [better, worse]);
    return {
      ...{ claim, measure, better, worse },
      advantage: difference?.advantage ?? null,
      advantage_low: difference?.low ?? null,
      advantage_high: difference?.high ?? null,
      over: difference?.over ?? 'not measured',
      seeds: difference?.count ?? 0,
      verdict: verdictOf(difference),
    };
  });
  return { name: 'claims', columns: COLUMNS, rows };
}

export function verdictOf(difference: Difference | undefined): ClaimVerdict {
  if (difference?.low == null || difference.high === null) return 'undecided';
  if (difference.low > 0) return 'supported';
  return difference.high < 0 ? 'not supported' : 'undecided';
}

/** What the verdicts rest on, in a sentence. */
export const CLAIMS_NOTE =
  'A claim is supported where the 95% interval of the difference lies above 0, not supported where it lies below, else undecided. An interval over seeds covers training again; one over rows covers other images for the same trained models only.';

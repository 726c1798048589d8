import type { Table, TableRow } from '../report/index.js';
import { MEASURES, bestMixture, found, type Measure } from './measures.js';
import type { StudyTables } from './tables.js';

/** A measure that has no more than its name: what a table holds besides the measures that claims are about. */
export type FurtherMeasure = Pick<Measure, 'find' | 'perRun' | 'context'> & { name: string };

/** How a table names its numbers. */
interface Naming {
  value: string;
  /** The measure. */
  name: (row: TableRow) => string;
  /** What tells its rows apart: words, the more telling first. */
  setting: (row: TableRow) => string;
}

const NAMINGS: Partial<Record<keyof StudyTables, Naming>> = {
  probe: {
    value: 'accuracy',
    name: ({ probe, feature, control }) =>
      ['probe', probe, ...(feature === 'flattened' ? [] : [feature]), ...(control === 'none' ? [] : [control])].join(
        '_',
      ),
    setting: ({ setting }) => String(setting ?? ''),
  },
  diagnose: {
    value: 'value',
    name: ({ measure }) => String(measure),
    setting: ({ setting }) => String(setting ?? ''),
  },
  reconstruction: evaluation(() => 'reconstruction'),
  umapQuality: { value: 'trustworthiness', name: ({ method }) => `${method}_trustworthiness`, setting: () => '' },
  evaluations: evaluation(row => String(row.evaluation)),
  generation: evaluation(() => 'generation'),
  trajectories: { value: 'value', name: ({ measure }) => String(measure), setting: () => '' },
};

/** Tables of which every diffusion model on a latent space has rows of its own. */
const PER_RUN: readonly (keyof StudyTables)[] = ['generation', 'trajectories'];

function evaluation(kind: (row: TableRow) => string): Naming {
  return {
    value: 'value',
    name: row => `${kind(row)}_${row.metric}`,
    setting: ({ variant }) => String(variant ?? ''),
  };
}

/** Every number that the tables hold besides the named measures. */
export function furtherMeasures(tables: StudyTables, covered: ReadonlySet<TableRow> = new Set()): FurtherMeasure[] {
  const named = (Object.keys(NAMINGS) as (keyof StudyTables)[]).flatMap(kind => {
    const { value } = NAMINGS[kind]!;
    return [...columnsOf(tables[kind], NAMINGS[kind]!)]
      .filter(([, rows]) => !rows.every(row => covered.has(row)))
      .map(([name, rows]): FurtherMeasure => {
        const own = new Set(rows);
        return {
          name: Object.hasOwn(MEASURES, name) ? `${kind}_${name}` : name,
          perRun: PER_RUN.includes(kind),
          find: unit =>
            found(
              unit[kind].rows.find(row => own.has(row)),
              value,
            ),
        };
      });
  });
  const controls = [...new Set(tables.nll.rows.map(({ control }) => String(control)))].filter(one => one !== 'none');
  const ofNulls = controls.map(control => ({
    name: `gain_${control}`,
    find: ({ nll }: StudyTables) => found(bestMixture(nll, control), 'gain'),
  }));
  return [...ofNulls, ...named];
}

/**
 * A table's rows by the summary's column that they belong to: the measure's name, and as many leading words of the
 * setting as tell its rows apart within one latent space.
 */
function columnsOf(table: Table, { name, setting }: Naming): Map<string, TableRow[]> {
  const columns = new Map<string, TableRow[]>();
  for (const [measure, rows] of grouped(table.rows, name)) {
    const spaces = [...grouped(rows, unit).values()];
    const words = (row: TableRow): string[] => setting(row).split(' ').filter(Boolean);
    const label = (row: TableRow, count: number): string => [measure, ...words(row).slice(0, count)].join(' ');
    const apart = (count: number): boolean =>
      spaces.every(own => new Set(own.map(row => label(row, count))).size === own.length);
    const most = Math.max(...rows.map(row => words(row).length));
    let count = 0;
    while (count < most && !apart(count)) count++;
    for (const [column, own] of grouped(rows, row => columnName(label(row, count)))) columns.set(column, own);
  }
  return columns;
}

const unit = ({ source, seed, diffusion_seed: run }: TableRow): string => [source, seed, run].join('\n');

/** `lnc k=5 cosine` → lnc_k5_cosine, `frequency_share f<=1/4` → frequency_share_f_le_1_4. */
const columnName = (label: string): string =>
  label
    .replaceAll('<=', ' le ')
    .replaceAll('>=', ' ge ')
    .replaceAll('<', ' lt ')
    .replaceAll('>', ' gt ')
    .replace(/([a-z])=(?=\d+\b(?!\.))/g, '$1')
    .replace(/[^\w.]+/g, '_');

function grouped(rows: TableRow[], key: (row: TableRow) => string): Map<string, TableRow[]> {
  const groups = new Map<string, TableRow[]>();
  for (const row of rows) groups.set(key(row), [...(groups.get(key(row)) ?? []), row]);
  return groups;
}

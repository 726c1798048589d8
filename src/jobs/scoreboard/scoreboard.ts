import { inPackage, RandomNumbers, silentLog, UserError, type Log } from '../../base/index.js';
import { isNumeric, wordIn, type Table, type TableRow } from '../../report/index.js';
import {
  kendall,
  partialInterval,
  partialSpearman,
  permutationTest,
  spearman,
  spearmanInterval,
} from '../../statistics/index.js';
/** The numbers that MAETok's authors published; every row says where. */
export const PUBLISHED = inPackage('studies/maetok-paper.csv');

/** Names under which tables have the quality of what was generated, the first one found is meant. */
const TARGETS = ['gfid', 'fid', 'generation', 'fd'];
/** Columns that are about a measurement and no measure themselves. */
const NO_MEASURE =
  /(_low|_high|_std)$|^(index|seeds?|diffusion_seeds|images|rows)$|^(nll|probe|diffusion|reconstruction|generation)_(dims|components|step|images)$/;
const SETTING = 'setting';
/** Below this many a rank correlation is ±1 or nothing. */
const FEWEST = 3;
const LEVEL = 0.05;

export type CorrelationVerdict = 'correlates' | 'undecided' | 'too few';

/** How one cheap measure orders tokenizers as compared with what is then generated. */
export interface ScoreboardRow {
  setting: string;
  measure: string;
  target: string;
  tokenizers: number;
  spearman: number | null;
  spearman_low: number | null;
  spearman_high: number | null;
  kendall: number | null;
  p: number | null;
  /** Holm's correction for the number of measures that were tried in the setting. */
  p_holm: number | null;
  verdict: CorrelationVerdict;
  /** With the columns of `partial` held fixed, over the tokenizers that have all of them. */
  partial?: number | null;
  partial_low?: number | null;
  partial_high?: number | null;
  partial_tokenizers?: number;
  /** The range of Spearman's coefficient when each group of `leaveOut` is left out, and the group without which it is weakest. */
  leave_out_low?: number | null;
  leave_out_high?: number | null;
  weakest_without?: string | null;
}

/** The columns of a scoreboard's table with these settings. */
export const scoreboardColumns = ({ partial, leaveOut }: ScoreboardSettings): (keyof ScoreboardRow)[] => [
  ...(['setting', 'measure', 'target', 'tokenizers', 'spearman', 'spearman_low', 'spearman_high'] as const),
  ...(['kendall', 'p', 'p_holm', 'verdict'] as const),
  ...(partial ? (['partial', 'partial_low', 'partial_high', 'partial_tokenizers'] as const) : []),
  ...(leaveOut === undefined ? [] : (['leave_out_low', 'leave_out_high', 'weakest_without'] as const)),
];

export interface ScoreboardSettings {
  target?: string | undefined;
  measures?: readonly string[] | undefined;
  /** Numeric columns to hold fixed. */
  partial?: readonly string[] | undefined;
  /** A column that groups tokenizers. */
  leaveOut?: string | undefined;
  seed: number;
}

/**
 * Correlates each measure with the target over tokenizers. Rows of different settings (another generator, resolution or
 * decoder) are never mixed: each value of a `setting` column has a scoreboard of its own.
 */
export function scoreboard(table: Table, chosen: ScoreboardSettings, log: Log = silentLog): ScoreboardRow[] {
  const { target, measures, seed, partial, leaveOut } = chosen;
  if (partial) requireNumbers(table, partial);
  if (leaveOut !== undefined && !table.columns.includes(leaveOut))
    throw new UserError(`${table.name}: has no column '${leaveOut}' (columns: ${table.columns.join(', ')})`);
  const goal = targetOf(table, target);
  const columns = measuresOf(table, goal, measures);
  const settings = table.columns.includes(SETTING) ? [...new Set(table.rows.map(row => row[SETTING]))] : [null];
  const progress = log.progress('scoreboard', settings.length * columns.length, 'measures');
  let done = 0;
  const board = settings.flatMap(setting => {
    const rows = table.columns.includes(SETTING) ? table.rows.filter(row => row[SETTING] === setting) : table.rows;
    return holm(
      columns.flatMap(measure => {
        progress.update(done++);
        if (!varies(rows, measure, goal)) return [];
        return {
          ...scored(rows, measure, goal, String(setting ?? ''), new RandomNumbers(seed, 'scoreboard')),
          ...(partial && heldFixed(rows, measure, goal, partial)),
          ...(leaveOut !== undefined && withoutEach(rows, measure, goal, leaveOut)),
        };
      }),
    );
  });
  progress.update(done);
  progress.stop();
  if (board.length === 0)
    throw new UserError(
      `${table.name}: no measure varies together with '${goal}'; at least two rows, one per tokenizer, are needed`,
    );
  return board;
}

function targetOf(table: Table, named: string | undefined): string {
  const target = named ?? TARGETS.find(column => isNumeric(table, column));
  if (target !== undefined && isNumeric(table, target)) return target;
  const wanted = target === undefined ? `any of the columns ${TARGETS.join(', ')}` : `numbers in a column '${target}'`;
  throw new UserError(
    `${table.name}: lacks ${wanted}; name the column to correlate with by --target (columns: ${table.columns.join(', ')})`,
  );
}

function measuresOf(table: Table, target: string, named: readonly string[] | undefined): readonly string[] {
  if (named) requireNumbers(table, named);
  const found = named ?? table.columns.filter(column => isNumeric(table, column) && !NO_MEASURE.test(column));
  const measures = found.filter(column => column !== target && column !== SETTING);
  if (measures.length === 0) throw new UserError(`${table.name}: has no numeric column other than '${target}'`);
  return measures;
}

function requireNumbers(table: Table, columns: readonly string[]): void {
  const absent = columns.find(column => !isNumeric(table, column));
  if (absent !== undefined)
    throw new UserError(`${table.name}: has no numbers in a column '${absent}' (columns: ${table.columns.join(', ')})`);
}

/** Each column's values over the rows that have all of them. */
function valuesOf(rows: readonly TableRow[], columns: readonly string[]): number[][] {
  const complete = rows.filter(row => columns.every(column => Number.isFinite(row[column])));
  return columns.map(column => complete.map(row => row[column] as number));
}

const pairsOf = (rows: readonly TableRow[], measure: string, target: string): [x: number[], y: number[]] =>
  valuesOf(rows, [measure, target]) as [number[], number[]];

/** The correlation that is left with these columns held fixed; null where nothing is, or too few rows are. */
function heldFixed(rows: readonly TableRow[], measure: string, target: string, fixed: readonly string[]) {
  const [x, y, ...controls] = valuesOf(rows, [measure, target, ...fixed]);
  const partial = x.length < FEWEST + fixed.length ? NaN : partialSpearman(x, y, controls);
  const [low, high] = partialInterval(partial, x.length, fixed.length) ?? [null, null];
  return {
    partial: Number.isNaN(partial) ? null : partial,
    partial_low: low,
    partial_high: high,
    partial_tokenizers: x.length,
  };
}

/** Whether one group of tokenizers makes the correlation: its range when each is left out. */
function withoutEach(rows: readonly TableRow[], measure: string, target: string, column: string) {
  const groups = [...new Set(rows.map(row => row[column] ?? null))];
  const found = groups.flatMap(group => {
    const [x, y] = pairsOf(
      rows.filter(row => (row[column] ?? null) !== group),
      measure,
      target,
    );
    const value = x.length < FEWEST ? NaN : spearman(x, y);
    return Number.isNaN(value) ? [] : [{ group, value }];
  });
  if (found.length === 0) return { leave_out_low: null, leave_out_high: null, weakest_without: null };
  const values = found.map(({ value }) => value);
  const [x, y] = pairsOf(rows, measure, target);
  const direction = Math.sign(spearman(x, y));
  const weakest = found.reduce((least, one) => (direction * one.value < direction * least.value ? one : least));
  return {
    leave_out_low: Math.min(...values),
    leave_out_high: Math.max(...values),
    weakest_without: String(weakest.group ?? ''),
  };
}

const varies = (rows: readonly TableRow[], measure: string, target: string): boolean =>
  pairsOf(rows, measure, target).every(values => new Set(values).size > 1);

function scored(
  rows: readonly TableRow[],
  measure: string,
  target: string,
  setting: string,
  random: RandomNumbers,
): ScoreboardRow {
  const [x, y] = pairsOf(rows, measure, target);
  const common = { setting, measure, target, tokenizers: x.length, p_holm: null };
  if (x.length < FEWEST)
    return {
      ...common,
      spearman: null,
      spearman_low: null,
      spearman_high: null,
      kendall: null,
      p: null,
      verdict: 'too few',
    };
  const { p, least } = permutationTest(x, y, random.for('pairings'));
  const [low, high] = spearmanInterval(x, y, random.for('copula'));
  return {
    ...common,
    spearman: spearman(x, y),
    spearman_low: low,
    spearman_high: high,
    kendall: kendall(x, y),
    p,
    verdict: least > LEVEL ? 'too few' : 'undecided',
  };
}

/** Holm's correction (1979): of m measures tried, the k-th smallest p is multiplied by m − k + 1; those with too few rows do not count as tried. */
function holm(rows: ScoreboardRow[]): ScoreboardRow[] {
  const tried = rows.filter(row => row.verdict !== 'too few').sort((a, b) => a.p! - b.p!);
  let most = 0;
  tried.forEach((row, k) => {
    most = Math.max(most, Math.min(1, (tried.length - k) * row.p!));
    row.p_holm = most;
    if (most <= LEVEL) row.verdict = 'correlates';
  });
  return rows;
}

/** Explains which measures are judged in part or not at all, and why: one line per measure. */
export function omissions(
  table: Table,
  { target, measures }: ScoreboardSettings,
  board: readonly ScoreboardRow[],
): string[] {
  const goal = targetOf(table, target);
  const numeric = measuresOf(table, goal, measures);
  const judged = new Set(board.map(({ measure }) => measure));
  const partly = [goal, ...numeric].flatMap(column => {
    const cells = table.rows.map(row => row[column]).filter(value => typeof value === 'number');
    const finite = cells.filter(Number.isFinite).length;
    const what = [...new Set(cells.filter(value => !Number.isFinite(value)).map(String))].join(', ');
    return finite === cells.length
      ? []
      : [`${column}: judged on its ${finite} finite values; ${cells.length - finite} left out (${what})`];
  });
  const constant = numeric
    .filter(column => !judged.has(column))
    .map(column => `${column}: not judged, it does not vary where '${goal}' has numbers`);
  const wordy = (measures ? [] : table.columns).flatMap(column => {
    const values = table.rows.map(row => row[column]).filter(value => value !== null);
    const isMeasure = values.some(value => Number.isFinite(Number(value))) && wordIn(table, column) !== undefined;
    const word = values.find(value => !Number.isFinite(Number(value)));
    return isMeasure && word !== undefined && column !== SETTING
      ? [`${column}: not judged, it contains text ('${word}')`]
      : [];
  });
  const infinite = (measures ? [] : table.columns)
    .filter(column => !isNumeric(table, column) && table.rows.some(row => typeof row[column] === 'number'))
    .map(column => `${column}: not judged, it has no finite value`);
  return [...partly, ...constant, ...wordy, ...infinite];
}

/** Tokenizers of which, where no two have equal values, perfect agreement is significant: p = 2 / 5!. */
const ENOUGH = 5;

/** Explains the verdicts, one line per setting that needs it. */
export function explanations(rows: readonly ScoreboardRow[]): string[] {
  const few = rows.filter(({ verdict }) => verdict === 'too few');
  return [...new Set(few.map(({ setting }) => setting))].map(setting => {
    const here = few.filter(row => row.setting === setting);
    const said = (what: string, of: ScoreboardRow[]): string[] => {
      if (of.length === 0) return [];
      const counts = [...new Set(of.map(({ tokenizers }) => tokenizers))].sort((a, b) => a - b).join(' or ');
      return [`${counts} tokenizers ${what} for ${of.map(({ measure }) => measure).join(', ')}`];
    };
    const causes = [
      ...said(
        'are too few',
        here.filter(({ tokenizers }) => tokenizers < ENOUGH),
      ),
      ...said(
        'have too many equal values',
        here.filter(({ tokenizers }) => tokenizers >= ENOUGH),
      ),
    ];
    return (
      `${setting === '' ? '' : `${setting}: `}${causes.join('; ')}: ` +
      `even perfect agreement would have p > ${LEVEL}; ${ENOUGH} with different values are enough`
    );
  });
}

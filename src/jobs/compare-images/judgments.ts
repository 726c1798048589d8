import { UserError } from '../../base/index.js';
import { readTable, type TableRow } from '../../report/index.js';
import { wilson } from '../../statistics/index.js';
import { isFirstLeft } from './compare.js';

/** How often one set of images was preferred to the other. */
export interface JudgmentRow {
  source: string;
  against: string;
  /** `preference`: wins and half of the ties. */
  outcome: 'win' | 'tie' | 'lose' | 'preference';
  pairs: number;
  /** Share of all pairs, with Wilson's 95% interval. */
  share: number;
  share_low: number;
  share_high: number;
  /** Two-sided sign test of wins against losses. */
  p: number | null;
  judges: number;
}

export const JUDGMENT_COLUMNS: (keyof JudgmentRow)[] = [
  ...(['source', 'against', 'outcome', 'pairs', 'share', 'share_low', 'share_high', 'p', 'judges'] as const),
];

/** One judge's table: for each pair 1 where the first set's image was chosen, −1 where the second's, else 0. */
interface Judge {
  a: string;
  b: string;
  choices: Map<number, number>;
}

export interface Judged {
  rows: JudgmentRow[];
  /** Share of the pairs with several judges on which all of them say the same; undefined without such pairs. */
  agreement: number | undefined;
}

/** Reads tables that pages of `compare-images` saved, one per judge, into wins, ties and losses. */
export async function readJudgments(paths: readonly string[]): Promise<Judged> {
  const judges = await Promise.all(paths.map(judgeOf));
  const [{ a, b }] = judges;
  const other = judges.findIndex(judge => judge.a !== a || judge.b !== b);
  if (other > 0)
    throw new UserError(
      `${paths[other]}: compares ${judges[other].a} with ${judges[other].b}, but ${paths[0]} compares ${a} with ${b}; give tables of one comparison`,
    );
  const pairs = new Map<number, number[]>();
  for (const { choices } of judges)
    for (const [pair, choice] of choices) pairs.set(pair, [...(pairs.get(pair) ?? []), choice]);
  const several = [...pairs.values()].filter(({ length }) => length > 1);
  return {
    rows: summary(a, b, [...pairs.values()].map(majority), judges.length),
    agreement:
      several.length === 0
        ? undefined
        : several.filter(choices => choices.every(choice => choice === choices[0])).length / several.length,
  };
}

const COLUMNS = ['seed', 'pair', 'a', 'b', 'choice'];
const CHOICES: Record<string, number> = { left: 1, tie: 0, right: -1 };

async function judgeOf(path: string): Promise<Judge> {
  const { columns, rows } = await readTable(path);
  const absent = COLUMNS.find(column => !columns.includes(column));
  if (absent !== undefined)
    throw new UserError(`${path}: has no column '${absent}'; a page of compare-images saves ${COLUMNS.join(', ')}`);
  const [{ a, b }] = rows;
  if (rows.some(row => row.a !== a || row.b !== b))
    throw new UserError(`${path}: mixes judgments of several comparisons`);
  return { a: String(a), b: String(b), choices: new Map(rows.map((row, i) => judgment(path, row, i))) };
}

function judgment(path: string, { seed, pair, choice }: TableRow, i: number): [pair: number, choice: number] {
  const side = CHOICES[String(choice)] as number | undefined;
  if (side === undefined || typeof pair !== 'number' || typeof seed !== 'number')
    throw new UserError(
      `${path}: line ${i + 2}: '${seed},${pair},${choice}' is not a judgment (a number, a number, left, right or tie)`,
    );
  return [pair, isFirstLeft(seed, pair) ? side : -side];
}

/** The side chosen by the majority of the judges: a pair counts once, however many judged it. */
const majority = (choices: readonly number[]): number => Math.sign(choices.reduce((sum, choice) => sum + choice, 0));

function summary(source: string, against: string, outcomes: readonly number[], judges: number): JudgmentRow[] {
  const total = outcomes.length;
  const [wins, ties, losses] = [1, 0, -1].map(side => outcomes.filter(outcome => outcome === side).length);
  const row = (outcome: JudgmentRow['outcome'], count: number, p: number | null = null): JudgmentRow => {
    const [low, high] = wilson(count, total);
    const share = { share: count / total, share_low: low, share_high: high };
    return { source, against, outcome, pairs: outcome === 'preference' ? total : count, ...share, p, judges };
  };
  return [
    row('win', wins),
    row('tie', ties),
    row('lose', losses),
    row('preference', wins + ties / 2, signTest(wins, losses)),
  ];
}

/** Two-sided exact binomial test of a half: how often a fair coin falls at least as unevenly. */
export function signTest(wins: number, losses: number): number {
  const n = wins + losses;
  let logTerm = -n * Math.LN2;
  let tail = 0;
  for (let k = 0; k <= Math.min(wins, losses); k++) {
    tail += Math.exp(logTerm);
    logTerm += Math.log(n - k) - Math.log(k + 1);
  }
  return Math.min(1, 2 * tail);
}

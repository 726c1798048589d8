import type { Table, TableRow } from '../report/index.js';
import { studentQuantile } from '../statistics/index.js';
import { verdictOf } from './claims.js';
import { differenceOf, type Difference } from './difference.js';
import { atLargest, MEASURES } from './measures.js';
import type { MeasureName } from './names.js';
import type { Study } from './study.js';
import type { StudyTables } from './tables.js';

/** What a study says, for the first screen of its report. */
export interface Verdict {
  question: string;
  /** Two sentences with their uncertainty. */
  answer: string[];
  /** What would change the answer, a line each. */
  wouldChange: string[];
  /** What the answer rests on; undefined where nothing has been measured. */
  measure: MeasureName | undefined;
}

/** What answers the question, the most direct first. */
const DIRECT = ['generation', 'diffusion_loss'] as const;
/** What describes the latent spaces where nothing was generated: the first that tells them apart, else the first that could. */
const INDIRECT = ['best_components', 'probe', 'gain'] as const;

/** More than these are counted, not named. */
const MANY_SPACES = 6;

/** Says which latent space does best, how sure that is, and what would make it surer. */
export function verdict(study: Study, tables: StudyTables, summary: Table, claims: Table): Verdict {
  const has = (name: MeasureName): boolean => summary.rows.some(row => Number.isFinite(row[name]));
  const direct = DIRECT.find(has);
  const indirect = INDIRECT.filter(has).filter(name => !isCutShort(tables, rankedBy(summary, name), name));
  const between = (name: MeasureName): Difference | undefined => differenceOfBest(study, tables, summary, name);
  const name = direct ?? indirect.find(name => verdictOf(between(name)) === 'supported') ?? indirect.at(0);
  const sources = Object.keys(study.tokenizers);
  const question =
    sources.length > 1
      ? `Which of ${sources.length > MANY_SPACES ? `these ${sources.length} latent spaces` : listed(sources)} will a diffusion model learn best?`
      : `Will a diffusion model learn ${sources[0]} well?`;
  if (name === undefined)
    return { question, answer: ['Nothing has been measured yet.'], wouldChange: [], measure: undefined };
  const ranked = rankedBy(summary, name);
  const [best, next] = ranked;
  const difference = between(name);
  return {
    question,
    measure: name,
    answer: [first(name, best, next, difference), second(direct, claims, difference)],
    wouldChange: [
      ...moreSeeds(study, difference),
      ...moreRows(tables, difference),
      ...(direct === undefined
        ? [
            'Diffusion models: none was trained, so nothing here measures generation itself (`--with diffusion,samples`).',
          ]
        : []),
      ...moreComponents(tables, sources),
    ],
  };
}

/** Whether a count of one of the two best ends where the sweep ends, so that it cannot order them. */
const isCutShort = (tables: StudyTables, ranked: TableRow[], name: MeasureName): boolean =>
  MEASURES[name].counted !== undefined && ranked.slice(0, 2).some(({ source }) => atLargest(tables, String(source)));

/** Of the best over the next. */
function differenceOfBest(
  study: Study,
  tables: StudyTables,
  summary: Table,
  name: MeasureName,
): Difference | undefined {
  const ranked = rankedBy(summary, name).map(({ source }) => String(source));
  return ranked.length < 2 ? undefined : differenceOf(study, tables, name, [ranked[0], ranked[1]]);
}

/** The spaces that have the measure, the best first. */
function rankedBy({ rows }: Table, name: MeasureName): TableRow[] {
  const sign = MEASURES[name].better === 'higher' ? -1 : 1;
  return rows.filter(row => Number.isFinite(row[name])).sort((a, b) => sign * (Number(a[name]) - Number(b[name])));
}

function first(
  name: MeasureName,
  best: TableRow,
  next: TableRow | undefined,
  difference: Difference | undefined,
): string {
  const { title, better, counted } = MEASURES[name];
  const most = better === 'higher' ? 'highest' : counted ? 'fewest' : 'lowest';
  if (next === undefined)
    return `${best.source}: ${title} ${valueOf(best, name)}; there is nothing to compare it with.`;
  const lead = `${best.source} has the ${most} ${title}, ${valueOf(best, name)}, before ${next.source} with ${valueOf(next, name)}`;
  const decided = verdictOf(difference) === 'supported';
  if (difference?.low == null) return `${lead}; how certain the difference is, is not known at one seed.`;
  return decided
    ? `${lead}; the difference is clear of zero (${interval(difference)}, over ${difference.over}).`
    : `${lead}; they cannot be told apart (difference ${interval(difference)}, over ${difference.over}).`;
}

function second(direct: MeasureName | undefined, claims: Table, difference: Difference | undefined): string {
  const { rows } = claims;
  const of = (wanted: string): number => rows.filter(({ verdict }) => verdict === wanted).length;
  if (rows.length > 0)
    return `Of ${counted(rows.length, 'claim')} ${of('supported')} ${of('supported') === 1 ? 'is' : 'are'} supported, ${of('not supported')} not supported and ${of('undecided')} undecided, each by its 95% interval.`;
  if (direct === undefined)
    return 'This describes the latent spaces; which of them generates best is a conjecture until diffusion models are trained on them.';
  return difference?.over === 'rows'
    ? 'The interval covers other images for the same trained models, not training them again.'
    : 'Other sizes, longer trainings and other data may order them differently.';
}

/** How many seeds would decide, at the difference and the spread seen so far. */
function moreSeeds({ seeds }: Study, difference: Difference | undefined): string[] {
  if (seeds.length === 1 && (!difference || difference.count === 1))
    return ['More seeds: with one, no interval covers training again (`seeds: [0, 1, 2]`).'];
  if (difference?.low == null || verdictOf(difference) !== 'undecided' || difference.advantage === 0) return [];
  const { count, advantage, low } = difference;
  const deviation = ((advantage - low) / studentQuantile(count - 1)) * Math.sqrt(count);
  let needed = count + 1;
  while (needed < MANY && studentQuantile(needed - 1) * (deviation / Math.sqrt(needed)) >= advantage) needed++;
  return [
    needed < MANY
      ? `More seeds: about ${needed} instead of ${count} would decide between the two best, if difference and spread stay as they are.`
      : `More seeds alone would hardly decide between the two best: the difference is small against its spread over ${count} seeds.`,
  ];
}

const MANY = 100;

/** How many rows would decide where the interval is over rows, and whether rows were left out. */
function moreRows({ latents, nll }: StudyTables, difference: Difference | undefined): string[] {
  const available = Math.max(0, ...latents.rows.map(({ images }) => Number(images)));
  const used = Math.max(0, ...nll.rows.map(row => Number(row.train_rows) + Number(row.heldout_rows)));
  const lines =
    used > 0 && used < available ? [`More rows: mixtures were fitted and scored on ${used} of ${available} rows.`] : [];
  if (difference?.over !== 'rows' || verdictOf(difference) !== 'undecided' || difference.advantage <= 0) return lines;
  const factor = ((difference.advantage - difference.low!) / difference.advantage) ** 2;
  return [
    ...lines,
    `More held-out rows: about ${number(factor)} times as many would decide between the two best, if the difference stays.`,
  ];
}

/** Whether some space's likelihood was still rising at the end of the sweep. */
function moreComponents(tables: StudyTables, sources: string[]): string[] {
  const names = sources.filter(source => atLargest(tables, source));
  return names.length === 0
    ? []
    : [`More components: of ${listed(names)} the largest mixture is the best, so a larger one may be better.`];
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

const listed = (names: string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

const number = (value: unknown): string => String(Number(Number(value).toPrecision(3)));

function valueOf(row: TableRow, name: string): string {
  const [low, high] = [row[`${name}_low`], row[`${name}_high`]];
  const ends = low != null && high != null ? ` (95% interval ${number(low)} to ${number(high)})` : '';
  return `${number(row[name])}${ends}`;
}

const interval = ({ advantage, low, high }: Difference): string =>
  `${number(advantage)}, 95% interval ${number(low)} to ${number(high)}`;

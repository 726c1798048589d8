import { estimate } from '../statistics/index.js';
import { measurements, ownInterval, repeated } from './measurements.js';
import { atLargest, MEASURES } from './measures.js';
import type { MeasureName } from './names.js';
import type { Study } from './study.js';
import type { StudyTables } from './tables.js';

/** What an interval covers: other trainings, or other rows of what was trained once. */
export type Spread = 'seeds' | 'diffusion seeds' | 'rows' | 'unknown';

/** By how much one latent space is better than another, in the measure's unit. */
export interface Difference {
  advantage: number;
  /** 95% interval; null where nothing says how certain the difference is. */
  low: number | null;
  high: number | null;
  over: Spread;
  /** Pairs that it is the mean of. */
  count: number;
}

/**
 * The advantage of `better` over `worse`: the mean of paired differences with Student's interval where there are several
 * seeds; of one seed with the interval that the two measurements' own give (Zou and Donner 2008: the square root of the
 * sum of the squared distances to their near ends), which says nothing about another training. Undefined where either
 * was not measured; without an interval where the one with fewer components may need more than were tried, and where a
 * count of parts has an interval of one point: the bootstrap chose the same fit every time, and does not fit again.
 */
export function differenceOf(
  study: Study,
  tables: StudyTables,
  name: MeasureName,
  [better, worse]: [string, string],
): Difference | undefined {
  const measure = MEASURES[name];
  const sign = measure.better === 'higher' ? 1 : -1;
  const [ours, theirs] = [better, worse].map(source => measurements(study, tables, source, measure));
  const [a, b] = [repeated(ours), repeated(theirs)];
  const pairs = [...a].flatMap(([key, value]) => {
    // Both perfect: the difference of two infinite PSNRs says nothing.
    const difference = sign * (value - (b.get(key) ?? NaN));
    return Number.isNaN(difference) ? [] : [difference];
  });
  if (pairs.length === 0) return undefined;
  const { mean: advantage, low, high, count } = estimate(pairs);
  if (measure.counted && atLargest(tables, advantage < 0 ? worse : better))
    return { advantage, low: null, high: null, over: 'unknown', count };
  if (count > 1) return { advantage, low, high, over: study.seeds.length > 1 ? 'seeds' : 'diffusion seeds', count };
  const [one, other] = [ours, theirs].map(([{ found }]) =>
    upwards(Number(found.row[found.column]), ownInterval(found), sign),
  );
  const isOneFit = measure.counted === 'parts' && [one, other].some(of => of?.low === of?.high);
  if (!one || !other || isOneFit) return { advantage, low: null, high: null, over: 'unknown', count };
  return {
    advantage,
    low: advantage - Math.hypot(one.value - one.low, other.high - other.value),
    high: advantage + Math.hypot(one.high - one.value, other.value - other.low),
    over: 'rows',
    count,
  };
}

/** The measurement turned so that more is better. */
function upwards(value: number, interval: { low: number; high: number } | undefined, sign: number) {
  if (!interval) return undefined;
  const [low, high] = sign > 0 ? [interval.low, interval.high] : [-interval.high, -interval.low];
  return { value: sign * value, low, high };
}

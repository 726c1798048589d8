import type { RandomNumbers } from '../base/index.js';

export interface Interval {
  low: number;
  high: number;
}

const REPLICATES = 1000;
/** More rows than this are drawn in groups, which leaves the variance of a mean as it is. */
const GROUPS = 2000;

/**
 * 95% bootstrap interval of a mean. `values[repeat][row]`: repeats (fits from other seeds) are drawn first, then rows
 * within each, so that both kinds of chance count.
 */
export function bootstrapMean(values: readonly Float32Array[], random: RandomNumbers): Interval {
  return percentileInterval(bootstrapMeans(values, random));
}

/** The replicates of the mean themselves: `values` holds one array of equal length per repeat, over the same rows. */
export function bootstrapMeans(values: readonly Float32Array[], random: RandomNumbers): Float64Array {
  const grouped = values.map(groupMeans);
  const groups = grouped[0].length;
  const draws = drawsOf(random, grouped.length, groups);
  return Float64Array.from(draws, ({ repeats, rows }) => {
    let sum = 0;
    for (const repeat of repeats) {
      const own = grouped[repeat];
      for (let i = 0; i < groups; i++) sum += own[rows[i]];
    }
    return sum / (groups * grouped.length);
  });
}

/** What one replicate is made of. The rows are drawn alike for every repeat: they are the same rows. */
interface Draw {
  repeats: Uint16Array;
  rows: Uint16Array;
}

/** The last draws of a stream: those for all columns of a table are the same, and take most of the time. */
const drawn = new WeakMap<RandomNumbers, Draw[]>();

function drawsOf(random: RandomNumbers, repeats: number, groups: number): Draw[] {
  const known = drawn.get(random);
  if (known?.[0].repeats.length === repeats && known[0].rows.length === groups) return known;
  const [forRepeats, forRows] = [random.for('repeats'), random.for('rows')];
  const draws = Array.from({ length: REPLICATES }, (_, replicate) => ({
    repeats: below(forRepeats.at(replicate).words(repeats), repeats),
    rows: below(forRows.at(replicate).words(groups), groups),
  }));
  drawn.set(random, draws);
  return draws;
}

/** Uniform 32-bit words as integers below `count`. */
function below(words: Uint32Array, count: number): Uint16Array {
  const out = new Uint16Array(words.length);
  for (let i = 0; i < out.length; i++) out[i] = (words[i] / 2 ** 32) * count;
  return out;
}

/** Every GROUPS-th row belongs to the same group, so that rows sorted by class are spread over all. */
function groupMeans(values: Float32Array): Float64Array {
  const groups = Math.min(GROUPS, values.length);
  const sums = new Float64Array(groups);
  const counts = new Float64Array(groups);
  values.forEach((value, row) => {
    sums[row % groups] += value;
    counts[row % groups]++;
  });
  return sums.map((sum, group) => sum / counts[group]);
}

/** 95% interval between percentiles of bootstrap replicates. */
export function percentileInterval(replicates: Float64Array): Interval {
  const sorted = replicates.toSorted();
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))];
  return { low: at(0.025), high: at(0.975) };
}

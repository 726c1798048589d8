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
  const [forRepeats, forRows] = [random.for('repeats'), random.for('rows')];
  return Float64Array.from({ length: REPLICATES }, (_, replicate) => {
    const repeats = forRepeats.at(replicate).words(grouped.length);
    // Drawn alike for every repeat: they are the same rows.
    const rows = forRows.at(replicate).words(groups);
    let sum = 0;
    for (const repeat of repeats) {
      const own = grouped[below(repeat, grouped.length)];
      for (let i = 0; i < groups; i++) sum += own[below(rows[i], groups)];
    }
    return sum / (groups * grouped.length);
  });
}

/** A uniform 32-bit word as an integer below `count`. */
const below = (word: number, count: number): number => Math.floor((word / 2 ** 32) * count);

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

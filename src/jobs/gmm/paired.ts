import { RandomNumbers, UserError } from '../../base/index.js';
import { bootstrapMean, bootstrapMeans } from '../../statistics/index.js';
import type { FittedMixture } from './report.js';

export interface PairedRow {
  components: number;
  a: string;
  b: string;
  /** Mean over the same rows of gain(a) − gain(b), in nats per row, with a 95% interval. */
  gain_difference: number;
  low: number;
  high: number;
  /** Share of bootstrap replicates in which the whole order of the sources is as measured. */
  rank_stability: number;
}

/**
 * Differences between latent spaces of the same images, row by row, so that what all find hard drops out.
 * @throws UserError where the sources do not have the same number of scored rows.
 */
export function pairedDifferences(fits: FittedMixture[], seed: number): PairedRow[] {
  const random = new RandomNumbers(seed).for('paired');
  const counts = [...new Set(fits.map(({ components }) => components))];
  return counts.flatMap(components => {
    const group = fits.filter(fit => fit.components === components);
    requireSameRows(group);
    const stability = rankStability(group, random);
    const rows: PairedRow[] = [];
    group.forEach((a, i) =>
      group.slice(i + 1).forEach(b => {
        const differences = a.gains.map((gains, repeat) => gains.map((gain, row) => gain - b.gains[repeat][row]));
        const { low, high } = bootstrapMean(differences, random);
        const mean = differences.reduce((sum, one) => sum + average(one), 0) / differences.length;
        rows.push({
          components,
          a: a.source,
          b: b.source,
          gain_difference: mean,
          low,
          high,
          rank_stability: stability,
        });
      }),
    );
    return rows;
  });
}

function requireSameRows([first, ...others]: FittedMixture[]): void {
  for (const other of others)
    if (other.gains[0].length !== first.gains[0].length)
      throw new UserError(
        `--paired needs latents of the same images: ${first.source} has ${first.gains[0].length} scored rows, ${other.source} ${other.gains[0].length}`,
      );
}

/** Uses the same random numbers for every source: replicate r of each is over the same rows. */
function rankStability(group: FittedMixture[], random: RandomNumbers): number {
  const replicates = group.map(({ gains }) => bootstrapMeans(gains, random));
  const order = (values: number[]): string =>
    values
      .map((_, i) => i)
      .sort((a, b) => values[b] - values[a])
      .join();
  const measured = order(group.map(({ gains }) => gains.reduce((sum, one) => sum + average(one), 0)));
  let same = 0;
  for (let r = 0; r < replicates[0].length; r++) if (order(replicates.map(values => values[r])) === measured) same++;
  return same / replicates[0].length;
}

const average = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;

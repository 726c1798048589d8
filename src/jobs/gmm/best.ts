import { RandomNumbers } from '../../base/index.js';
import { effectiveComponents } from '../../gmm/index.js';
import { bootstrapMeans, percentileInterval } from '../../statistics/index.js';
import type { FittedMixture } from './report.js';

/** How many components held-out rows ask for, and what the mixture of so many is like. */
export interface BestRow {
  source: string;
  best_components: number;
  best_components_low: number;
  best_components_high: number;
  effective_components: number;
  effective_components_low: number;
  effective_components_high: number;
  modes: number;
  modes_low: number;
  modes_high: number;
  /** Whether the best number is the largest that was tried, so that more might be better. */
  at_largest: boolean;
}

/**
 * The number of components with the lowest held-out NLL, the effective components and the modes of that mixture. The 95%
 * intervals are bootstrap percentiles over held-out rows and repeats: in every replicate the best number is chosen again.
 * The mixtures themselves stay as they were fitted. Modes must have been looked for.
 */
export function bestMixtures(fits: FittedMixture[], seed: number): BestRow[] {
  const random = new RandomNumbers(seed).for('best');
  const sources = [...new Set(fits.map(({ source }) => source))];
  return sources.map(source => {
    const own = fits.filter(fit => fit.source === source);
    const means = own.map(({ nlls }) => bootstrapMeans(nlls, random));
    // Drawn rows are the same for every number of components, so the replicates can be compared.
    const chosen = Array.from(means[0], (_, replicate) => lowest(means.map(values => values[replicate])));
    const best = lowest(own.map(({ nlls }) => averageOf(nlls)));
    const interval = (values: number[]) => percentileInterval(Float64Array.from(chosen, i => values[i]));
    const components = own.map(fit => fit.components);
    const effective = own.map(({ fit }) => effectiveComponents(fit.mixture.weights));
    const modes = own.map(({ modeOf }) => 1 + Math.max(...modeOf!));
    return {
      source,
      best_components: components[best],
      best_components_low: interval(components).low,
      best_components_high: interval(components).high,
      effective_components: effective[best],
      effective_components_low: interval(effective).low,
      effective_components_high: interval(effective).high,
      modes: modes[best],
      modes_low: interval(modes).low,
      modes_high: interval(modes).high,
      at_largest: components[best] === Math.max(...components),
    };
  });
}

const lowest = (values: number[]): number => values.indexOf(Math.min(...values));

function averageOf(repeats: readonly Float32Array[]): number {
  const sums = repeats.map(values => values.reduce((sum, value) => sum + value, 0) / values.length);
  return sums.reduce((sum, value) => sum + value, 0) / sums.length;
}

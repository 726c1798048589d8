import { UserError } from '../../base/index.js';
import type { FeatureExtractor } from '../../features/index.js';
import { openMetrics, type DistributionMetric } from '../../metrics/index.js';
import {
  LATENT_METRICS,
  METRICS,
  type LatentMetricName,
  type MetricName,
  type RatioMetricName,
} from '../../metrics/names.js';
import { applicable } from './feature-side.js';

export interface MetricChoice {
  /** Names of feature-based metrics; absent: a default of the evaluation. */
  metrics?: readonly AnyMetric[] | undefined;
}

type AnyMetric = MetricName | LatentMetricName | RatioMetricName;

/** Whether a metric is of a tokenizer's latents, which no set of images has. */
export const isOfLatents = (name: AnyMetric): name is LatentMetricName => Object.hasOwn(LATENT_METRICS, name);

/** The metrics of images that were asked for. @throws UserError for one that the features do not allow. */
export async function metricsFor(
  { metrics }: MetricChoice,
  byDefault: (metric: DistributionMetric) => boolean,
  extractor: FeatureExtractor | undefined,
): Promise<DistributionMetric[]> {
  const named = metrics && compared(metrics);
  const chosen = named ? await openMetrics(named) : (await openMetrics()).filter(byDefault);
  const possible = extractor ? applicable(extractor, chosen).map(({ metric }) => metric) : chosen;
  const impossible = chosen.find(metric => !possible.includes(metric));
  if (named && extractor && impossible)
    throw new UserError(
      `--metrics ${impossible.name}: ${extractor.name} lacks the features for it; inception:WEIGHTS has them`,
    );
  return chosen;
}

/** Those that compare images; a ratio of Fréchet distances needs these. */
function compared(metrics: readonly AnyMetric[]): MetricName[] {
  const own = metrics.filter((name): name is MetricName => Object.hasOwn(METRICS, name));
  return metrics.includes('fdr') && !own.includes('fid') ? ['fid', ...own] : own;
}

export const ofReconstructions = (metric: DistributionMetric): boolean => metric.ofReconstructions === true;

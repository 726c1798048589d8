import { UserError } from '../../base/index.js';
import type { FeatureExtractor } from '../../features/index.js';
import { openMetrics, type DistributionMetric } from '../../metrics/index.js';
import { LATENT_METRICS, type LatentMetricName, type MetricName } from '../../metrics/names.js';
import { applicable } from './feature-side.js';

export interface MetricChoice {
  /** Names of feature-based metrics; absent: a default of the evaluation. */
  metrics?: readonly (MetricName | LatentMetricName)[] | undefined;
}

/** Whether a metric is of a tokenizer's latents, which no set of images has. */
export const isOfLatents = (name: MetricName | LatentMetricName): name is LatentMetricName =>
  Object.hasOwn(LATENT_METRICS, name);

/** The metrics of images that were asked for. @throws UserError for one that the features do not allow. */
export async function metricsFor(
  { metrics }: MetricChoice,
  byDefault: (metric: DistributionMetric) => boolean,
  extractor: FeatureExtractor | undefined,
): Promise<DistributionMetric[]> {
  const named = metrics?.filter(name => !isOfLatents(name));
  const chosen = named ? await openMetrics(named) : (await openMetrics()).filter(byDefault);
  const possible = extractor ? applicable(extractor, chosen).map(({ metric }) => metric) : chosen;
  const impossible = chosen.find(metric => !possible.includes(metric));
  if (named && extractor && impossible)
    throw new UserError(
      `--metrics ${impossible.name}: ${extractor.name} lacks the features for it; inception:WEIGHTS has them`,
    );
  return chosen;
}

export const ofReconstructions = (metric: DistributionMetric): boolean => metric.ofReconstructions === true;

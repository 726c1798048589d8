import { namesOf } from '../base/index.js';
import type { DistributionMetric } from './metric.js';
import { METRICS, type MetricName } from './names.js';

/** Metrics by name, default all, in the order of the table. */
export async function openMetrics(names: readonly MetricName[] = namesOf(METRICS)): Promise<DistributionMetric[]> {
  const metrics: DistributionMetric[] = [];
  for (const name of namesOf(METRICS)) if (names.includes(name)) metrics.push(await METRICS[name].load());
  return metrics;
}

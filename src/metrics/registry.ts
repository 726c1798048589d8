import { fid, sfid } from './fid.js';
import { inceptionScore } from './inception-score.js';
import { kid } from './kid.js';
import type { DistributionMetric } from './metric.js';
import { precisionAndRecall } from './precision-recall.js';

/** Every comparison of two sets of images, one line each, in the order of the table. */
export const METRICS: readonly DistributionMetric[] = [fid, sfid, inceptionScore, precisionAndRecall, kid] as const;

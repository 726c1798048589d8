import type { FeatureExtractor } from '../../features/index.js';
import type { Score } from '../../metrics/index.js';

/** One number of an evaluation. */
export interface EvaluationRow extends Score {
  source: string;
  /** The feature extractor; empty where images were compared pixel by pixel. */
  features: string;
  /** Images evaluated, and compared with. */
  images: number;
  reference_images: number | null;
}

export const EVALUATION_COLUMNS = [
  'source',
  'metric',
  'variant',
  'features',
  'value',
  'low',
  'high',
  'std',
  'images',
  'reference_images',
];

/** What a protocol card says of an extractor. */
export const featuresCard = (extractor: FeatureExtractor | undefined): Record<string, unknown> | null =>
  extractor ? { name: extractor.name, digest: extractor.digest, input: extractor.input } : null;

import type { Log } from '../../base/index.js';
import type { Communicator } from '../../distributed/index.js';
import type { FeatureExtractor, Lpips } from '../../features/index.js';
import type { Score } from '../../metrics/index.js';

export interface EvaluateContext {
  log: Log;
  signal: AbortSignal;
  /** The ranks that share the images; default one alone. */
  communicator?: Communicator | undefined;
}

/** One number of an evaluation. */
export interface EvaluationRow extends Score {
  source: string;
  /** The feature extractor; empty where images were compared pixel by pixel. */
  features: string;
  /** Images evaluated, and compared with. */
  images: number;
  reference_images: number | null;
  /** Noise that was added to latents before they were decoded, in standard deviations of their channels. */
  latent_noise?: number | null;
}

/** The rows of an evaluation, and what its protocol card says of them. */
export interface Evaluated {
  rows: EvaluationRow[];
  card: Record<string, unknown>;
}

/** The networks through which images are compared. */
export interface JudgeNetworks {
  extractor: FeatureExtractor | undefined;
  perceptual: Lpips | undefined;
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
export const featuresCard = ({ name, digest, input }: FeatureExtractor): Record<string, unknown> => ({
  name,
  digest,
  input,
});

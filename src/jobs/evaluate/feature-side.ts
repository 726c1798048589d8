import type { Log } from '../../base/index.js';
import { tf, type Tensor4D } from '../../engine/index.js';
import type { FeatureExtractor, FeatureSet } from '../../features/index.js';
import type { DistributionMetric, FeatureMoments, FeatureRows, MetricContext, Score } from '../../metrics/index.js';

export interface SideSettings {
  seed: number;
  /** Resamplings for the interval of a Fréchet distance; 0: none. */
  bootstrap: number;
  /** Directions that MIND projects features on. */
  directions: number;
}

/** The same, and the ranks that share what a metric repeats. */
type ScoreSettings = SideSettings & Pick<MetricContext, 'communicator'>;

/** What metrics need of the features of some images. */
export interface ImageFeatures {
  images: number;
  /** Width × height of the images. */
  size: string;
  sets: Partial<Record<FeatureSet, FeatureRows>>;
}

/** One side of a comparison: features of images go in, each metric keeps what it needs of them. */
export interface FeatureSide {
  /** Images so far. */
  count(): number;
  /** Width × height of the images. */
  size(): string;
  add(features: ImageFeatures): void;
  /** What a metric kept. */
  state(metric: DistributionMetric): unknown;
}

/** Metrics that an extractor's features allow, each under the name that they may bear. */
export function applicable(
  extractor: FeatureExtractor,
  metrics: readonly DistributionMetric[],
): { metric: DistributionMetric; name: string }[] {
  return metrics.flatMap(metric => {
    const name = extractor.isInception ? metric.name : metric.otherwise;
    return name === undefined || extractor.widths[metric.needs] === undefined ? [] : [{ metric, name }];
  });
}

const contextOf = (
  extractor: FeatureExtractor,
  metric: DistributionMetric,
  count: number,
  settings: ScoreSettings,
): MetricContext => ({ ...settings, count, width: extractor.widths[metric.needs] ?? 0 });

/** Features of 8-bit pixels as floats [n, h, w, 3], which are freed. */
export async function featuresOf(
  extractor: FeatureExtractor,
  metrics: readonly DistributionMetric[],
  pixels: Tensor4D,
): Promise<ImageFeatures> {
  const [images, height, width] = pixels.shape;
  const tensors = await extractor.features(pixels).finally(() => pixels.dispose());
  try {
    const sets: ImageFeatures['sets'] = {};
    for (const needs of new Set(metrics.map(metric => metric.needs))) {
      const tensor = tensors[needs]!;
      const data = (await tensor.data()) as Float32Array;
      sets[needs] = { rows: tensor.shape[0], width: tensor.shape[1], data };
    }
    return { images, size: `${width}×${height}`, sets };
  } finally {
    tf.dispose(tensors);
  }
}

/** `expected`: images that will come, where none of them is broken. */
export function featureSide(
  extractor: FeatureExtractor,
  metrics: readonly DistributionMetric[],
  expected: number,
  settings: SideSettings,
): FeatureSide {
  const states = new Map(
    metrics.map(metric => [metric, metric.init(contextOf(extractor, metric, expected, settings))]),
  );
  let count = 0;
  let size = '';
  return {
    count: () => count,
    size: () => size,
    state: metric => states.get(metric),
    add: features => {
      for (const [metric, state] of states) metric.add(state, features.sets[metric.needs]!);
      count += features.images;
      ({ size } = features);
    },
  };
}

/** What a metric compares with: images seen, or statistics that a file holds. */
export interface Against {
  side?: FeatureSide | undefined;
  moments?: Partial<Record<FeatureSet, FeatureMoments>> | undefined;
}

/** The scores of one metric; none where the reference lacks what it needs. */
export async function scoresOf(
  { metric, name }: { metric: DistributionMetric; name: string },
  extractor: FeatureExtractor,
  sample: FeatureSide,
  against: Against,
  settings: ScoreSettings,
): Promise<Score[]> {
  const moments = against.moments?.[metric.needs];
  const reference = moments && metric.known ? metric.known(moments) : against.side?.state(metric);
  if (reference === undefined && metric.sides === 'both') return [];
  const context = contextOf(extractor, metric, sample.count(), settings);
  const scores = await metric.value(sample.state(metric), reference, context);
  return scores.map(score => ({ ...score, metric: score.metric ?? name }));
}

/** Says what readers of a metric's scores should know; once for sets of equal numbers of images, of which a sweep has many. */
export function caveats(log: Log) {
  const said = new Set<string>();
  return (
    source: string,
    { metric, name }: { metric: DistributionMetric; name: string },
    scores: readonly Score[],
    extractor: FeatureExtractor,
    images: number,
  ): void => {
    const caveat = metric.caveat?.(scores, { name, images, extractor });
    if (caveat === undefined || said.has(caveat)) return;
    said.add(caveat);
    log.warn(`${source}: ${caveat}`);
  };
}

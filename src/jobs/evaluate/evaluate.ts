import { UserError } from '../../base/index.js';
import { firstReadable, openImages, type ImageDataset } from '../../data/index.js';
import { NO_FEATURES, type FeatureExtractor, type Lpips } from '../../features/index.js';
import type { Decoding } from '../../io/index.js';
import { openMetrics, type DistributionMetric } from '../../metrics/index.js';
import type { MetricName } from '../../metrics/names.js';
import { normalisationCard, type Tokenizer } from '../../tokenizers/index.js';
import { posteriorOf, seededEncoder } from '../extract.js';
import { applicable } from './feature-side.js';
import { evaluateReconstructions, fromImages, through, type ReconstructionSettings } from './reconstructions.js';
import type { EvaluationRow } from './rows.js';
import { comparison, openReference, type EvaluateContext, type NamedImages, type SetSettings } from './sets.js';

type ReadingOptions = Parameters<typeof openImages>[1];

/** The networks through which images are compared. */
export interface JudgeNetworks {
  extractor: FeatureExtractor | undefined;
  perceptual: Lpips | undefined;
}

interface MetricChoice {
  /** Names of feature-based metrics; absent: a default of the evaluation. */
  metrics?: readonly MetricName[] | undefined;
}

export type TokenizerEvaluation = ReconstructionSettings &
  ReadingOptions &
  MetricChoice & {
    tokenizer: string;
    data: string;
    size?: number | undefined;
  };

export type SetEvaluation = SetSettings &
  ReconstructionSettings &
  Decoding &
  MetricChoice & {
    reference: string;
    limit?: number | undefined;
    strict: boolean;
    /** Whether image k of the samples is a reconstruction of image k of the reference. */
    paired: boolean;
  };

/** The rows of an evaluation, and what its protocol card says of them. */
export interface Evaluated {
  rows: EvaluationRow[];
  card: Record<string, unknown>;
}

/** The metrics asked for. @throws UserError for one that the features do not allow. */
export async function metricsFor(
  { metrics }: MetricChoice,
  byDefault: (metric: DistributionMetric) => boolean,
  extractor: FeatureExtractor | undefined,
): Promise<DistributionMetric[]> {
  const chosen = metrics ? await openMetrics(metrics) : (await openMetrics()).filter(byDefault);
  const possible = extractor ? applicable(extractor, chosen).map(({ metric }) => metric) : chosen;
  const impossible = chosen.find(metric => !possible.includes(metric));
  if (metrics && extractor && impossible)
    throw new UserError(
      `--metrics ${impossible.name}: ${extractor.name} lacks the features for it; inception:WEIGHTS has them`,
    );
  return chosen;
}

const ofReconstructions = (metric: DistributionMetric): boolean => metric.ofReconstructions === true;

/** How well a tokenizer reconstructs images. */
export async function evaluateTokenizer(
  open: () => Promise<Tokenizer>,
  settings: TokenizerEvaluation,
  judges: JudgeNetworks,
  context: EvaluateContext,
): Promise<Evaluated> {
  const tokenizer = await open();
  const images = await openImages(settings.data, { ...settings, log: context.log });
  try {
    const { imageSize: size, sizeMultiple, name, digest } = tokenizer;
    if (settings.size !== undefined && settings.size !== size)
      throw new UserError(
        `${settings.tokenizer}: reconstructs images of ${size} pixels, not --size ${settings.size}` +
          (sizeMultiple === undefined ? '' : `; --image-size ${settings.size} opens it for that size`),
      );
    const all = { ...judges, metrics: await metricsFor(settings, ofReconstructions, judges.extractor) };
    const encode = seededEncoder(tokenizer, settings);
    const reconstruct = through({ encode, decode: latents => tokenizer.decode(latents) });
    return {
      rows: await evaluateReconstructions(name, images, size, reconstruct, all, settings, context),
      card: {
        task: 'reconstruction',
        image_size: size,
        data: { digest: images.digest, count: images.count, split: settings.split },
        tokenizer: { name, digest, ...(await normalisationCard(tokenizer.normalisation)) },
        posterior: posteriorOf(tokenizer, settings),
      },
    };
  } finally {
    tokenizer.dispose();
    await images.close();
  }
}

/** Sets of images compared with a reference, or one set of reconstructions with its originals. */
export async function evaluateSets(
  inputs: { name: string; path: string }[],
  settings: SetEvaluation,
  judges: JudgeNetworks,
  context: EvaluateContext,
): Promise<Evaluated> {
  const { extractor } = judges;
  const { limit, paired, strict, exif, alpha, grey16 } = settings;
  if (!extractor && !paired) throw new UserError(NO_FEATURES);
  const reading = { exif, alpha, grey16, strict, log: context.log };
  const reference = await openReference(settings.reference, { ...reading, limit: paired ? limit : undefined });
  const samples: NamedImages[] = [];
  try {
    for (const { name, path } of inputs) samples.push({ name, images: await openImages(path, { ...reading, limit }) });
    const card = {
      task: paired ? 'reconstruction' : 'generation',
      reference: { digest: reference.digest, count: reference.images?.count ?? null },
      inputs: samples.map(({ name, images }) => ({ name, digest: images.digest, count: images.count })),
    };
    if (paired) return { rows: await evaluatePairs(samples[0], reference.images, settings, judges, context), card };
    const metrics = await metricsFor(settings, ({ byRequest }) => byRequest !== true, extractor);
    const compare = await comparison(reference, extractor!, metrics, settings, context);
    const rows: EvaluationRow[] = [];
    for (const sample of samples) rows.push(...(await compare(sample)));
    return { rows, card };
  } finally {
    for (const { images } of samples) await images.close();
    await reference.close();
  }
}

async function evaluatePairs(
  { name, images }: NamedImages,
  originals: ImageDataset | undefined,
  settings: SetEvaluation,
  judges: JudgeNetworks,
  context: EvaluateContext,
): Promise<EvaluationRow[]> {
  if (!originals) throw new UserError(`${settings.reference}: holds no images; --paired compares image with image`);
  if (images.count !== originals.count)
    throw new UserError(
      `${name}: has ${images.count} images, --reference ${originals.count}; --paired needs equal numbers (--limit applies to both)`,
    );
  const [{ width, height }, original] = await Promise.all([firstReadable(images), firstReadable(originals)]);
  if (settings.size === undefined && (original.width !== width || original.height !== height))
    throw new UserError(
      `${name}: has images of ${width}×${height}, --reference of ${original.width}×${original.height}; ` +
        `--size ${Math.min(width, height)} crops both as ADM does`,
    );
  if (settings.size === undefined && width !== height)
    throw new UserError(`${images.imageName(0)}: is ${width}×${height}; give --size to crop all images to squares`);
  const all = { ...judges, metrics: await metricsFor(settings, ofReconstructions, judges.extractor) };
  const size = settings.size ?? width;
  return await evaluateReconstructions(name, originals, size, fromImages(images), all, settings, context);
}

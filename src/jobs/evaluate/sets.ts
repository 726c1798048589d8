import { basename } from 'node:path';
import { EXIT, UserError, type Log } from '../../base/index.js';
import {
  centreCrop,
  openImages,
  requireOneSize,
  severalAtOnce,
  tellBroken,
  type ImageDataset,
} from '../../data/index.js';
import { alone, inTurns, turnsOf, type Communicator } from '../../distributed/index.js';
import { tf, type Tensor4D } from '../../engine/index.js';
import type { FeatureExtractor, FeatureSet } from '../../features/index.js';
import { sha256OfFile, type RawImage } from '../../io/index.js';
import type { DistributionMetric, FeatureMoments } from '../../metrics/index.js';
import {
  applicable,
  caveats,
  featureSide,
  featuresOf,
  scoresOf,
  type FeatureSide,
  type ImageFeatures,
  type SideSettings,
} from './feature-side.js';
import { statisticsIn } from './reference-statistics.js';
import type { EvaluateContext, EvaluationRow } from './rows.js';

/** The reference for samples: images, statistics of the full set, or both (ADM's reference batches). */
export interface Reference {
  name: string;
  digest: string;
  images?: ImageDataset;
  /** Means and covariances of features, as a rule Inception's. */
  moments?: Partial<Record<FeatureSet, FeatureMoments>> | undefined;
  close(): Promise<void>;
}

export interface SetSettings extends SideSettings {
  /** Centre crop; absent: images as they are, which must then be of one size. */
  size?: number | undefined;
  batchSize: number;
}

export interface NamedImages {
  name: string;
  images: ImageDataset;
}

/**
 * Opens a reference: images in any form, or a `.npz` that holds `mu` and `sigma` (and `mu_s`, `sigma_s`), whatever
 * else it says of itself.
 */
export async function openReference(spec: string, options: Parameters<typeof openImages>[1]): Promise<Reference> {
  const { moments, hasImages } = spec.endsWith('.npz') ? await statisticsIn(spec) : { hasImages: true };
  if (moments && !hasImages)
    return { name: basename(spec), digest: await sha256OfFile(spec), moments, close: () => Promise.resolve() };
  const images = await openImages(spec, options);
  return {
    name: images.name,
    digest: images.digest,
    images,
    moments,
    close: () => images.close(),
  };
}

/** The scores of one set of samples. */
export type Compare = (sample: NamedImages) => Promise<EvaluationRow[]>;

/** Compares sets of samples, each when it comes, with one reference, whose features are computed once. */
export async function comparison(
  reference: Reference,
  extractor: FeatureExtractor,
  metrics: readonly DistributionMetric[],
  settings: SetSettings,
  context: EvaluateContext,
): Promise<Compare> {
  const moments = fitting(reference, extractor, context.log);
  const wanted = applicable(extractor, metrics);
  const throughImages = wanted
    .filter(({ metric }) => metric.sides === 'both' && !(moments?.[metric.needs] && metric.known))
    .map(({ metric }) => metric);
  const side =
    reference.images && throughImages.length > 0
      ? await sideOf(reference.images, extractor, throughImages, forReference(settings), context)
      : undefined;
  const lacking = side ? [] : wanted.filter(({ metric }) => throughImages.includes(metric));
  if (lacking.length > 0) {
    const names = lacking.map(({ name }) => name).join(', ');
    context.log.warn(`${reference.name}: holds statistics only; left out for lack of images: ${names}`);
  }
  const warn = caveats(context.log);
  const against = { side, moments };
  const sharing = { ...settings, communicator: context.communicator };
  return async ({ name, images }) => {
    const needed = wanted.map(({ metric }) => metric);
    const sample = await sideOf(images, extractor, needed, settings, context);
    if (side) warnOfSizes(name, sample, reference.name, side, context.log);
    const rows: EvaluationRow[] = [];
    for (const entry of wanted) {
      const { sides, needs } = entry.metric;
      const compared = sides === 'sample' || moments?.[needs] ? null : (side?.count() ?? null);
      const scores = await scoresOf(entry, extractor, sample, against, sharing);
      const common = { source: name, features: extractor.name, images: sample.count(), reference_images: compared };
      warn(name, entry, scores, extractor, sample.count());
      rows.push(...scores.map(score => ({ ...score, ...common })));
    }
    return rows;
  };
}

/** Extractors bring all images to one size, which hides that one side is blurred by it. */
function warnOfSizes(name: string, sample: FeatureSide, reference: string, side: FeatureSide, log: Log): void {
  if (sample.size() !== side.size())
    log.warn(
      `${name}: images of ${sample.size()} are compared with ${side.size()} of ${reference}; ` +
        'their sharpness alone makes them differ: crop both with --size',
    );
}

/** Only samples are resampled, so nothing need be kept of the reference for it. */
const forReference = (settings: SetSettings): SetSettings => ({ ...settings, bootstrap: 0 });

/** A file of statistics does not say of which network; the number of its features has to tell. */
function fitting(reference: Reference, extractor: FeatureExtractor, log: Log): Reference['moments'] {
  const { moments, images, name } = reference;
  const width = moments?.pooled?.mean.length;
  const fits = width === undefined ? extractor.isInception : width === extractor.widths.pooled;
  if (!moments || (fits && extractor.isInception)) return moments;
  // Images are the surer reference where there are some: the statistics beside them are Inception's.
  if (images) return undefined;
  if (!fits)
    throw new UserError(
      `${name}: holds statistics of ${width ?? 'unknown'} features, no images; ${extractor.name} has ` +
        `${extractor.widths.pooled}: name the features that they were computed from, or a reference of images`,
    );
  log.warn(`${name}: does not say from which features its statistics were computed; assuming ${extractor.name}`);
  return moments;
}

/** The features of all images. Ranks take turns at the batches, which are those of one process. */
async function sideOf(
  images: ImageDataset,
  extractor: FeatureExtractor,
  metrics: readonly DistributionMetric[],
  settings: SetSettings,
  { log, signal, communicator = alone }: EvaluateContext,
): Promise<FeatureSide> {
  const side = featureSide(extractor, metrics, images.count, settings);
  async function* own(): AsyncGenerator<Seen, void> {
    for await (const { decoded, first, end } of readAhead(images, settings, communicator)) {
      if (signal.aborted) throw new UserError('interrupted', EXIT.interrupted);
      const features = decoded.length > 0 ? await featuresOf(extractor, metrics, pixelsOf(decoded)) : undefined;
      yield { features, first, end };
    }
  }
  const progress = log.progress(`${extractor.name} of ${images.name}`, images.count, 'images');
  let known: NamedSize | undefined;
  try {
    for await (const { features, first, end } of inTurns(communicator, own())) {
      // Each rank has compared the sizes of its own images already.
      if (first) requireOneSize([(known ??= first), first]);
      if (features) side.add(features);
      progress.update(end);
    }
  } finally {
    progress.stop();
  }
  await tellBroken(communicator, images);
  if (side.count() < 2)
    throw new UserError(`${images.name}: ${side.count()} readable images; comparing sets needs at least 2`);
  return side;
}

interface NamedSize {
  name: string;
  width: number;
  height: number;
}

interface Batch {
  /** The first image that this rank has read. */
  first?: NamedSize | undefined;
  /** One past the last that was tried. */
  end: number;
}

type Read = Batch & { decoded: RawImage[] };
type Seen = Batch & { features?: ImageFeatures | undefined };

/** A rank's batches; the next is decoded while the features of this one are computed. */
async function* readAhead(
  images: ImageDataset,
  { size, batchSize }: SetSettings,
  communicator: Communicator,
): AsyncGenerator<Read, void> {
  let first: NamedSize | undefined;
  const read = async (batch: number): Promise<Read> => {
    const start = batch * batchSize;
    const end = Math.min(images.count, start + batchSize);
    const indices = Array.from({ length: end - start }, (_, i) => start + i);
    const found = await severalAtOnce(indices, async index => {
      try {
        const image = await images.read(index, size);
        return size === undefined ? image : centreCrop(image, size);
      } catch (error) {
        images.reportBroken(index, error);
        return undefined;
      }
    });
    found.forEach((image, i) => {
      if (!image) return;
      const named = { name: images.imageName(indices[i]), width: image.width, height: image.height };
      first ??= named;
      requireOneSize([first, named]);
    });
    return { decoded: found.filter(image => image !== undefined), first, end };
  };
  const turns = turnsOf(communicator, Math.ceil(images.count / batchSize));
  const begun = (): Promise<Read> | undefined => {
    const turn = turns.next();
    return turn.done ? undefined : read(turn.value);
  };
  for (let next = begun(); next;) {
    const batch = await next;
    next = begun();
    // It is awaited a batch later; until then a failure must not count as unhandled.
    next?.catch(() => undefined);
    yield batch;
  }
}

function pixelsOf(decoded: RawImage[]): Tensor4D {
  const [{ width, height }] = decoded;
  const data = new Float32Array(decoded.length * width * height * 3);
  decoded.forEach((image, i) => data.set(image.data, i * width * height * 3));
  return tf.tensor4d(data, [decoded.length, height, width, 3]);
}

import { UserError } from '../../base/index.js';
import { loadBatch, type ImageBatch, type ImageDataset } from '../../data/index.js';
import { tf, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import type { FeatureExtractor, Lpips } from '../../features/index.js';
import { toBytes, type PosteriorName } from '../../io/index.js';
import type { DistributionMetric } from '../../metrics/index.js';
import { overBatches, shapeOf } from './batches.js';
import { pairDistances, pairScores } from './pairs.js';
import type { EvaluateContext, EvaluationRow } from './rows.js';
import {
  applicable,
  caveats,
  featureSide,
  featuresOf,
  scoresOf,
  type ImageFeatures,
  type SideSettings,
} from './feature-side.js';

export interface ReconstructionSettings extends SideSettings {
  batchSize: number;
  /** Default: what the tokenizer's own pipeline takes. */
  posterior?: PosteriorName | undefined;
}

/** Metrics of reconstructions in addition to PSNR and SSIM. */
export interface Judges {
  extractor?: FeatureExtractor | undefined;
  metrics: readonly DistributionMetric[];
  perceptual?: Lpips | undefined;
}

/** Anything that turns images [n, h, w, 3] in [−1, 1] into others of the same shape, in one or several ways. */
export interface Reconstructions {
  /** What rows say of each way. */
  kinds: readonly Pick<EvaluationRow, 'latent_noise'>[];
  /** One batch per way, in their order; the reader owns it. */
  of: (batch: ImageBatch, images: Tensor4D) => AsyncIterable<Tensor4D>;
}

/** What turns images into latents and back, the images' numbers in their data set given. */
export interface Codec {
  encode: (images: Tensor4D, indices: Int32Array) => Promise<Tensor3D>;
  decode: (latents: Tensor3D) => Promise<Tensor4D>;
}

/** Encodes and decodes images. */
export const through = ({ encode, decode }: Codec): Reconstructions => ({
  kinds: [{}],
  async *of({ indices }, images) {
    const latents = await encode(images, indices);
    try {
      yield await decode(latents);
    } finally {
      latents.dispose();
    }
  },
});

/** Takes reconstructions made elsewhere: image k of another data set. */
export const fromImages = (reconstructions: ImageDataset): Reconstructions => ({
  kinds: [{}],
  async *of({ indices, size }) {
    const batch = await loadBatch(reconstructions, indices, { size, crop: 'center', flip: false });
    if (batch.indices.length < indices.length)
      throw new UserError(
        `${reconstructions.name}: a reconstruction cannot be read, so images can no longer be paired`,
      );
    yield tf.tensor4d(batch.images, shapeOf(batch));
  },
});

/** Compares images, centre-cropped as ADM does it, with what is made of them. Ranks take turns at the batches. */
export async function evaluateReconstructions(
  source: string,
  images: ImageDataset,
  size: number,
  reconstructions: Reconstructions,
  { extractor, metrics, perceptual }: Judges,
  settings: ReconstructionSettings,
  context: EvaluateContext,
): Promise<EvaluationRow[]> {
  const { log, communicator } = context;
  const wanted = extractor ? applicable(extractor, metrics) : [];
  const needed = wanted.map(({ metric }) => metric);
  const side = (bootstrap: number) =>
    extractor && featureSide(extractor, needed, images.count, { ...settings, bootstrap });
  const truths = side(0);
  const judged = reconstructions.kinds.map(kind => ({
    kind,
    pairs: pairScores(perceptual),
    features: side(settings.bootstrap),
  }));
  const progress = log.progress(`reconstructing ${images.name}`, images.count, 'images');
  const compare = async (batch: ImageBatch) => {
    const shape = shapeOf(batch);
    const featuresIn = async (pixels: Float32Array) =>
      extractor && (await features8Bit(extractor, needed, pixels, shape));
    const ways = [];
    const truth = await featuresIn(batch.images);
    for await (const reconstruction of madeOf(reconstructions, batch))
      ways.push({
        distances: await pairDistances(perceptual, { truth: batch.images, reconstruction, shape }),
        features: await featuresIn(reconstruction),
      });
    return { truth, ways };
  };
  let count = 0;
  try {
    for await (const { made, ...batch } of overBatches(images, { ...settings, size }, compare, context)) {
      if (made.truth) truths?.add(made.truth);
      for (const [way, { distances, features }] of made.ways.entries()) {
        judged[way].pairs.add(distances);
        if (features) judged[way].features?.add(features);
      }
      count += batch.images;
      progress.update(batch.end);
    }
  } finally {
    progress.stop();
  }
  if (count < 2) throw new UserError(`${images.name}: ${count} readable images; an evaluation needs at least 2`);
  const common = { source, images: count, reference_images: count };
  const warn = caveats(log);
  const sharing = { ...settings, communicator };
  const rows: EvaluationRow[] = [];
  for (const { kind, pairs, features } of judged) {
    rows.push(...pairs.scores().map(score => ({ ...score, ...common, ...kind, features: '' })));
    if (!extractor || !features || !truths) continue;
    for (const entry of wanted) {
      const named = { ...entry, name: `r${entry.name}` };
      const scores = await scoresOf(named, extractor, features, { side: truths }, sharing);
      warn(source, named, scores, extractor, count);
      rows.push(...scores.map(score => ({ ...score, ...common, ...kind, features: extractor.name })));
    }
  }
  return rows;
}

/** The reconstructions of a batch, as numbers. */
async function* madeOf({ of }: Reconstructions, batch: ImageBatch): AsyncGenerator<Float32Array> {
  const shape = shapeOf(batch);
  const input = tf.tensor4d(batch.images, shape);
  try {
    for await (const output of of(batch, input)) {
      try {
        if (output.shape.join() !== shape.join())
          throw new UserError(`the decoder returns images of [${output.shape.join(', ')}] for [${shape.join(', ')}]`);
        yield (await output.data()) as Float32Array;
      } finally {
        output.dispose();
      }
    }
  } finally {
    input.dispose();
  }
}

/** Features are taken of 8-bit images, as every published evaluation has them. */
async function features8Bit(
  extractor: FeatureExtractor,
  metrics: readonly DistributionMetric[],
  images: Float32Array,
  shape: [number, number, number, 3],
): Promise<ImageFeatures> {
  return await featuresOf(extractor, metrics, tf.tensor4d(Float32Array.from(toBytes(images)), shape));
}

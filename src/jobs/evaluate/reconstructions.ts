import { EXIT, UserError } from '../../base/index.js';
import { loadBatch, type ImageBatch, type ImageDataset } from '../../data/index.js';
import { tf, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import type { FeatureExtractor, Lpips } from '../../features/index.js';
import { toBytes, type PosteriorName } from '../../io/index.js';
import type { DistributionMetric } from '../../metrics/index.js';
import { pairScores } from './pairs.js';
import type { EvaluateContext } from './sets.js';
import type { EvaluationRow } from './rows.js';
import { applicable, caveats, featureSide, scoresOf, type SideSettings } from './feature-side.js';

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

/** Anything that turns images [n, h, w, 3] in [−1, 1] into others of the same shape, in order. */
export type Reconstruct = (batch: ImageBatch, images: Tensor4D) => Promise<Tensor4D>;

/** What turns images into latents and back, the images' numbers in their data set given. */
export interface Codec {
  encode: (images: Tensor4D, indices: Int32Array) => Promise<Tensor3D>;
  decode: (latents: Tensor3D) => Promise<Tensor4D>;
}

/** Encodes and decodes images. */
export function through({ encode, decode }: Codec): Reconstruct {
  return async ({ indices }, images) => {
    const latents = await encode(images, indices);
    try {
      return await decode(latents);
    } finally {
      latents.dispose();
    }
  };
}

/** Takes reconstructions made elsewhere: image k of another data set. */
export function fromImages(reconstructions: ImageDataset): Reconstruct {
  return async ({ indices, size }) => {
    const batch = await loadBatch(reconstructions, indices, { size, crop: 'center', flip: false });
    if (batch.indices.length < indices.length)
      throw new UserError(
        `${reconstructions.name}: a reconstruction cannot be read, so images can no longer be paired`,
      );
    return tf.tensor4d(batch.images, [indices.length, size, size, 3]);
  };
}

/** Compares images, centre-cropped as ADM does it, with what `reconstruct` makes of them. */
export async function evaluateReconstructions(
  source: string,
  images: ImageDataset,
  size: number,
  reconstruct: Reconstruct,
  { extractor, metrics, perceptual }: Judges,
  settings: ReconstructionSettings,
  { log, signal }: EvaluateContext,
): Promise<EvaluationRow[]> {
  const pairs = pairScores(perceptual);
  const wanted = extractor ? applicable(extractor, metrics) : [];
  const side = (bootstrap: number) =>
    extractor &&
    featureSide(
      extractor,
      wanted.map(({ metric }) => metric),
      images.count,
      { ...settings, bootstrap },
    );
  const [truths, reconstructions] = [side(0), side(settings.bootstrap)];
  const progress = log.progress(`reconstructing ${images.name}`, images.count, 'images');
  let count = 0;
  try {
    for (let start = 0; start < images.count; start += settings.batchSize) {
      if (signal.aborted) throw new UserError('interrupted', EXIT.interrupted);
      const end = Math.min(images.count, start + settings.batchSize);
      const indices = Array.from({ length: end - start }, (_, i) => start + i);
      const batch = await loadBatch(images, indices, { size, crop: 'center', flip: false });
      if (batch.indices.length > 0) {
        const shape: [number, number, number, 3] = [batch.indices.length, size, size, 3];
        const reconstruction = await reconstructed(reconstruct, batch, shape);
        await pairs.add({ truth: batch.images, reconstruction, shape });
        await addPixels(truths, batch.images, shape);
        await addPixels(reconstructions, reconstruction, shape);
        count += batch.indices.length;
      }
      progress.update(end);
    }
  } finally {
    progress.stop();
  }
  if (count < 2) throw new UserError(`${images.name}: ${count} readable images; an evaluation needs at least 2`);
  const common = { source, images: count, reference_images: count };
  const rows: EvaluationRow[] = pairs.scores().map(score => ({ ...score, ...common, features: '' }));
  if (!extractor || !reconstructions || !truths) return rows;
  const warn = caveats(log);
  for (const entry of wanted) {
    const named = { ...entry, name: `r${entry.name}` };
    const scores = await scoresOf(named, extractor, reconstructions, { side: truths }, settings);
    warn(source, named, scores, extractor, count);
    rows.push(...scores.map(score => ({ ...score, ...common, features: extractor.name })));
  }
  return rows;
}

async function reconstructed(
  reconstruct: Reconstruct,
  batch: ImageBatch,
  shape: [number, number, number, 3],
): Promise<Float32Array> {
  const input = tf.tensor4d(batch.images, shape);
  const output = await reconstruct(batch, input);
  try {
    if (output.shape.join() !== shape.join())
      throw new UserError(`the decoder returns images of [${output.shape.join(', ')}] for [${shape.join(', ')}]`);
    return (await output.data()) as Float32Array;
  } finally {
    tf.dispose([input, output]);
  }
}

/** Features are taken of 8-bit images, as every published evaluation has them. */
async function addPixels(
  side: ReturnType<typeof featureSide> | undefined,
  images: Float32Array,
  shape: [number, number, number, 3],
): Promise<void> {
  if (!side) return;
  const pixels = tf.tensor4d(Float32Array.from(toBytes(images)), shape);
  await side.add(pixels);
  pixels.dispose();
}

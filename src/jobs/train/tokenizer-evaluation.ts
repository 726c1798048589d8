import { join } from 'node:path';
import { concatenated } from '../../base/index.js';
import { evenlySpaced, loadBatch, nothingReadable, type ImageDataset } from '../../data/index.js';
import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import { writeImageGrid } from '../../io/index.js';
import { arrayRows } from '../../rows/index.js';
import { PAIR_METRICS } from '../../metrics/index.js';
import type { Params } from '../../nn/index.js';
import { featureMatrix, knnScores, score, standardisation } from '../../probe/index.js';
import type { TrainingSnapshot } from '../../training/index.js';
import { latentStatistics } from '../../diagnose/index.js';

/** A tokenizer with the parameters of the moment; what it returns is the caller's. */
export interface Codec {
  /** images [n, side, side, 3] in [−1, 1] → latents [n, tokens, channels]. */
  encode: (images: Tensor4D) => Tensor3D;
  /** latents → images [n, side, side, 3]. */
  decode: (latents: Tensor3D, side: number) => Tensor4D;
}

export interface EvaluationPlan {
  codec: (params: Params) => Codec;
  /** Side of the images that are shown, probed and measured in full. */
  imageSize: number;
  train: ImageDataset;
  val: ImageDataset;
  /** Images per evaluation, evenly spread over the validation part. */
  count: number;
  /** Sides that are trained on; PSNR is reported for each. */
  sizes: number[];
}

/** Images through the network at a time. */
const BATCH = 32;
/** Images in a grid, each above its reconstruction. */
const SHOWN = 32;
const COLUMNS = 8;
/** Training images that the quick probe's neighbours are among. */
const PROBE_ROWS = 1000;
const NEIGHBOURS = 10;

/**
 * What a training run writes down now and then: fidelity on validation images, statistics of their latents, a quick
 * nearest-neighbour probe where there are classes, and a grid of originals above their reconstructions
 * (`reconstructions/step-N.png`). All with the moving average of the parameters where one is kept.
 */
export function tokenizerEvaluation({
  codec,
  imageSize,
  train,
  val,
  count,
  sizes,
}: EvaluationPlan): (context: TrainingSnapshot) => Promise<Record<string, number>> {
  return async ({ step, params, ema = params, out }) => {
    const now = codec(ema);
    const seen = await encoded(now, val, { count, side: imageSize, decodes: true });
    await writeGrid(join(out, 'reconstructions', `step-${step}.png`), imageSize, seen);
    const atOtherSizes = async (others: number[]): Promise<Record<string, number>> => {
      const entries: [string, number][] = [];
      for (const side of others) {
        const { errors } = await encoded(now, val, { count, side, decodes: true });
        entries.push([`val_psnr_${side}`, average(Array.from(errors, psnr))]);
      }
      return Object.fromEntries(entries);
    };
    const known = (): Promise<Encoded> => encoded(now, train, { count: PROBE_ROWS, side: imageSize });
    return {
      val_mse: average(seen.errors),
      val_psnr: average(Array.from(seen.errors, psnr)),
      val_ssim: average(similarities(seen, imageSize)),
      ...(await atOtherSizes(sizes.filter(size => size !== imageSize))),
      ...latentStatistics(seen.latents, seen.tokens, seen.channels),
      ...(val.labels && train.labels ? await quickProbe(await known(), seen, train) : {}),
    };
  };
}

/** Structural similarity of the images that are shown, as `evaluate` has it first. */
function similarities({ originals, reconstructions }: Encoded, side: number): number[] {
  const one = side * side * 3;
  const metric = PAIR_METRICS.find(({ name }) => name === 'ssim')!;
  return Array.from({ length: originals.length / one }, (_, i) => {
    const part = (images: Float32Array): Float32Array => images.subarray(i * one, (i + 1) * one);
    return metric.of({ height: side, width: side, truth: part(originals), reconstruction: part(reconstructions) });
  });
}

/** Peak signal-to-noise ratio in dB from a mean squared error in [−1, 1]: a quarter of it is that of pixels in [0, 1]. */
const psnr = (error: number): number => -10 * Math.log10(Math.max(error / 4, 1e-10));

const average = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;

interface Encoded {
  /** [n, tokens, channels] */
  latents: Float32Array;
  tokens: number;
  channels: number;
  labels: Int32Array;
  /** Mean squared error of each image, clamped; empty without decoding, as the next two. */
  errors: Float32Array;
  /** The first images and what became of them, [n, size, size, 3]. */
  originals: Float32Array;
  reconstructions: Float32Array;
}

/** `count` images, evenly spread over a data set, through the network, cropped to their middle. */
async function encoded(
  codec: Codec,
  dataset: ImageDataset,
  { count, side, decodes = false }: { count: number; side: number; decodes?: boolean },
): Promise<Encoded> {
  const parts: Encoded[] = [];
  const all = evenlySpaced(dataset.count, count);
  for (let start = 0; start < all.length; start += BATCH) {
    const indices = all.slice(start, start + BATCH);
    const batch = await loadBatch(dataset, indices, { size: side, crop: 'center', flip: false });
    const n = batch.indices.length;
    if (n === 0) continue;
    const tensors = tf.tidy(() => through(codec, tf.tensor4d(batch.images, [n, side, side, 3]), decodes));
    const [, tokens, channels] = tensors[0].shape;
    const [latents, errors, reconstructions] = (await Promise.all(tensors.map(x => x.data()))) as Float32Array[];
    tf.dispose(tensors);
    const shown = Math.max(0, SHOWN - start) * side ** 2 * 3;
    parts.push({
      latents,
      tokens,
      channels,
      labels: batch.labels ?? new Int32Array(n),
      errors,
      originals: batch.images.slice(0, decodes ? shown : 0),
      reconstructions: reconstructions.slice(0, shown),
    });
  }
  if (parts.length === 0) throw nothingReadable(dataset);
  return {
    ...parts[0],
    latents: joined(parts.map(part => part.latents)),
    labels: concatenated(
      Int32Array,
      parts.map(part => part.labels),
    ),
    errors: joined(parts.map(part => part.errors)),
    originals: joined(parts.map(part => part.originals)),
    reconstructions: joined(parts.map(part => part.reconstructions)),
  };
}

/** Latents, each image's squared error and the reconstructions; the last two empty without decoding. */
function through({ encode, decode }: Codec, images: Tensor4D, decodes: boolean): [Tensor3D, Tensor, Tensor] {
  const latents = encode(images);
  if (!decodes) return [latents, tf.zeros([0]), tf.zeros([0])];
  const output = decode(latents, images.shape[1]);
  return [latents, tf.clipByValue(output, -1, 1).sub<Tensor>(images).square().mean([1, 2, 3]), output];
}

const joined = (parts: Float32Array[]): Float32Array => concatenated(Float32Array, parts);

/** Rows of originals, below each row their reconstructions. */
async function writeGrid(path: string, size: number, { originals, reconstructions }: Encoded): Promise<void> {
  const one = size * size * 3;
  const n = originals.length / one;
  const columns = Math.min(COLUMNS, n);
  const rows = 2 * Math.ceil(n / columns);
  const data = new Float32Array(rows * columns * one).fill(1);
  for (let i = 0; i < n; i++) {
    const place = (2 * Math.floor(i / columns) * columns + (i % columns)) * one;
    data.set(originals.subarray(i * one, (i + 1) * one), place);
    data.set(reconstructions.subarray(i * one, (i + 1) * one), place + columns * one);
  }
  await writeImageGrid(path, { shape: [rows * columns, size, size, 3], data }, { columns, force: true });
}

/** Accuracy of ten nearest neighbours among training images, by cosine similarity of standardised latents. */
async function quickProbe(known: Encoded, asked: Encoded, { classes }: ImageDataset): Promise<Record<string, number>> {
  const width = known.tokens * known.channels;
  const rows = (part: Encoded) => arrayRows('latents', part.latents, part.latents.length / width, width);
  const scale = await standardisation(rows(known));
  const [train, queries] = [
    await featureMatrix(rows(known), known.labels, scale),
    await featureMatrix(rows(asked), asked.labels, scale),
  ];
  try {
    const [scores] = await knnScores(train, queries, classes.length, [NEIGHBOURS]);
    return { knn_accuracy: score(scores, asked.labels, classes.length).accuracy };
  } finally {
    train.dispose();
    queries.dispose();
  }
}

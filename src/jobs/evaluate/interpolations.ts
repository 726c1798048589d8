import { EXIT, RandomNumbers, UserError } from '../../base/index.js';
import type { ImageBatch, ImageDataset } from '../../data/index.js';
import { alone, inTurns, shareOf, turnsOf, type Communicator } from '../../distributed/index.js';
import { tf, type Tensor2D, type Tensor4D } from '../../engine/index.js';
import type { FeatureExtractor } from '../../features/index.js';
import {
  drawNeighbour,
  INTERPOLATION,
  isCopy,
  moved,
  nearestLatents,
  openMetrics,
  type DistributionMetric,
} from '../../metrics/index.js';
import type { InterpolationName } from '../../metrics/names.js';
import type { Tokenizer } from '../../tokenizers/index.js';
import { seededEncoder } from '../extract.js';
import { overBatches, shapeOf } from './batches.js';
import { applicable, caveats, featureSide, featuresOf, scoresOf, type ImageFeatures } from './feature-side.js';
import { fromPublished, toPublished } from './published-latents.js';
import type { ReconstructionSettings } from './reconstructions.js';
import type { EvaluateContext, EvaluationRow } from './rows.js';
import { inOneNumbering, type TrainingLatents } from './training-latents.js';

export interface InterpolationSettings extends ReconstructionSettings {
  interpolation: InterpolationName;
  /** Interpolate with training latents of the image's own class only. */
  withinClass: boolean;
}

/** Numbers of held-out latents for which the training latents are read through at once: 256 MiB. */
const AT_ONCE = 2 ** 26;

/**
 * iFID: every image's latent is moved half way towards one of its ten nearest training latents, drawn by seed and
 * image; the Fréchet distance to the images of what is decoded from that. Memory is bounded: training latents are read
 * through once for every 256 MiB of the images' own. Ranks take turns at the batches and share the training latents.
 */
export async function evaluateInterpolations(
  tokenizer: Tokenizer,
  images: ImageDataset,
  training: TrainingLatents,
  extractor: FeatureExtractor,
  settings: InterpolationSettings,
  context: EvaluateContext,
): Promise<EvaluationRow[]> {
  const { log, signal, communicator = alone } = context;
  const size = tokenizer.imageSize;
  const [{ metric, name }] = applicable(extractor, await openMetrics(['fid']));
  const entry = { metric, name: `i${name}` };
  const side = (bootstrap: number) => featureSide(extractor, [metric], images.count, { ...settings, bootstrap });
  const [truths, interpolations] = [side(0), side(settings.bootstrap)];
  const classes = settings.withinClass ? inOneNumbering(images, training) : undefined;
  const [tokens, channels] = tokenizer.latentShape;
  const atOnce = Math.max(1, Math.floor(AT_ONCE / (tokens * channels)));
  const progress = log.progress(`interpolating ${images.name}`, images.count, 'images');
  const seen = async (batch: ImageBatch) => ({
    features: await unroundedFeatures(extractor, metric, tf.tensor4d(batch.images, shapeOf(batch))),
    latents: await encoded(tokenizer, batch, settings),
  });
  async function* interpolatedImages(batches: readonly LatentBatch[], nearest: ReadonlyMap<number, Int32Array>) {
    for (const turn of turnsOf(communicator, batches.length)) {
      if (signal.aborted) throw new UserError('interrupted', EXIT.interrupted);
      const { latents, copies } = await interpolated(batches[turn], nearest, training, settings);
      const features = await unroundedFeatures(extractor, metric, await decoded(tokenizer, latents));
      yield { features, copies, last: batches[turn].indices.at(-1)! };
    }
  }
  let copies = 0;
  try {
    for (let first = 0; first < images.count; first += atOnce) {
      const end = Math.min(first + atOnce, images.count);
      const batches: LatentBatch[] = [];
      for await (const { made } of overBatches(images, { ...settings, size, first, end }, seen, context)) {
        truths.add(made.features);
        batches.push(made.latents);
      }
      const nearest = await neighboursOf(batches, training, classes, settings.interpolation, communicator);
      for await (const { features, copies: own, last } of inTurns(communicator, interpolatedImages(batches, nearest))) {
        copies += own;
        interpolations.add(features);
        progress.update(last + 1);
      }
    }
  } finally {
    progress.stop();
  }
  const count = truths.count();
  if (count < 2) throw new UserError(`${images.name}: ${count} readable images; an evaluation needs at least 2`);
  if (copies > 0)
    log.warn(
      `${images.name}: the latents of ${copies} of ${count} images are among ${training.name}; iFID is of images that were held out`,
    );
  const scores = await scoresOf(entry, extractor, interpolations, { side: truths }, { ...settings, communicator });
  caveats(log)(tokenizer.name, entry, scores, extractor, count);
  const common = { source: tokenizer.name, features: extractor.name, images: count, reference_images: count };
  return scores.map(score => ({ ...score, ...common, variant: `${variantOf(settings)}; ${score.variant}` }));
}

const variantOf = ({ interpolation, withinClass }: InterpolationSettings): string =>
  `${interpolation} to one of ${INTERPOLATION.neighbours} nearest${withinClass ? ' of its class' : ''}, images unrounded`;

/** Features are taken of images as the decoder gives them, neither rounded nor clipped, as published. Frees them. */
async function unroundedFeatures(
  extractor: FeatureExtractor,
  metric: DistributionMetric,
  images: Tensor4D,
): Promise<ImageFeatures> {
  const pixels = tf.tidy(() => images.add(1).mul<Tensor4D>(127.5));
  images.dispose();
  return await featuresOf(extractor, [metric], pixels);
}

/** Latents of images as they are interpolated, [n, tokens · channels] one after the other. */
interface LatentBatch {
  latents: Float32Array;
  indices: Int32Array;
}

async function encoded(tokenizer: Tokenizer, batch: ImageBatch, settings: InterpolationSettings): Promise<LatentBatch> {
  const input = tf.tensor4d(batch.images, shapeOf(batch));
  const latents = await seededEncoder(tokenizer, settings)(input, batch.indices);
  const own = toPublished(tokenizer, latents);
  try {
    return { latents: (await own.data()) as Float32Array, indices: batch.indices };
  } finally {
    tf.dispose([input, latents, own]);
  }
}

async function decoded(tokenizer: Tokenizer, latents: Float32Array): Promise<Tensor4D> {
  const [tokens, channels] = tokenizer.latentShape;
  const own = tf.tensor3d(latents, [latents.length / (tokens * channels), tokens, channels]);
  const normalised = fromPublished(tokenizer, own);
  try {
    return await tokenizer.decode(normalised);
  } finally {
    tf.dispose([own, normalised]);
  }
}

type Classes = ReturnType<typeof inOneNumbering>;

/** The nearest training latents of every image, by its number. */
async function neighboursOf(
  batches: readonly LatentBatch[],
  training: TrainingLatents,
  classes: Classes | undefined,
  way: InterpolationName,
  communicator: Communicator,
): Promise<Map<number, Int32Array>> {
  const images = batches.flatMap(({ indices }) => [...indices]);
  if (images.length === 0) return new Map();
  const queries = tf.tidy((): Tensor2D => {
    const parts = batches.map(({ latents, indices }) =>
      tf.tensor2d(latents, [indices.length, latents.length / indices.length]),
    );
    return tf.concat2d(parts, 0);
  });
  const within = classes && {
    queries: Int32Array.from(images, image => classes.images[image]),
    rows: classes.training,
  };
  const share = shareOf(communicator, training.count);
  try {
    const found = await nearestLatents(way, queries, training.blocks(share), within, communicator);
    return new Map(images.map((image, i) => [image, found[i]]));
  } finally {
    queries.dispose();
  }
}

async function interpolated(
  { latents, indices }: LatentBatch,
  nearest: ReadonlyMap<number, Int32Array>,
  training: TrainingLatents,
  { interpolation, seed }: InterpolationSettings,
): Promise<{ latents: Float32Array; copies: number }> {
  const random = new RandomNumbers(seed).for('interpolation');
  const width = latents.length / indices.length;
  const out = new Float32Array(latents.length);
  const lists = Array.from(indices, image => nearest.get(image)!);
  const candidates = await training.read(lists.flatMap(list => [...list]));
  let copies = 0;
  for (const [i, image] of indices.entries()) {
    const z = latents.subarray(i * width, (i + 1) * width);
    const own = candidates.splice(0, lists[i].length);
    const [uniform] = random.at(image).uniforms(1);
    out.set(moved(interpolation, z, own[drawNeighbour(z, own, uniform)]), i * width);
    if (own.some(candidate => isCopy(z, candidate))) copies++;
  }
  return { latents: out, copies };
}

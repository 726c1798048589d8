import { setImmediate as nextTurn } from 'node:timers/promises';
import { EXIT, UserError, type Log } from '../base/index.js';
import { loadBatch, nothingReadable, tellBroken, type ImageBatch, type ImageDataset } from '../data/index.js';
import {
  agreeOnEach,
  alone,
  cutAtMultiples,
  inParts,
  ofRank,
  sumOf,
  type Communicator,
  type Share,
} from '../distributed/index.js';
import { RandomStream, tf, type Precision, type Tensor3D, type Tensor4D } from '../engine/index.js';
import { holdFolder, type PosteriorName } from '../io/index.js';
import { createLatentsWriter, type LatentsBatch, type LatentsDescription } from '../latents/index.js';
import { normalisationCard, type Tokenizer } from '../tokenizers/index.js';

export interface ExtractSettings {
  /** The specification of the tokenizer, and the statistics that it was opened with, for the record. */
  spec: string;
  latentStatistics?: string | undefined;
  /** Also extract latents of the mirrored images. */
  flips: boolean;
  /** The posterior's mode or a sample of it; default: what the system's own pipeline extracts. */
  posterior?: PosteriorName | undefined;
  precision: Precision;
  /** Seed of the posterior's noise, which is the same for image k in every batch. */
  seed: number;
  batchSize: number;
  dtype?: LatentsDescription['dtype'];
  shardRows?: number | undefined;
  resume?: boolean | undefined;
  force?: boolean | undefined;
}

export interface ExtractContext {
  log: Log;
  signal: AbortSignal;
  /** The ranks that share the images; default one alone. */
  communicator?: Communicator | undefined;
}

export interface Extraction {
  /** Images in the folder. */
  rows: number;
  /** Images left out because they cannot be read. */
  skipped: number;
  /** Speed of this call, including reading and writing. */
  imagesPerSecond: number;
}

/**
 * Encodes a data set, centre-cropped as ADM does it, into a latents folder, in the data set's order. What is decoded
 * next is read while the engine computes. An interruption keeps all finished batches; `resume` continues from there, with any
 * number of ranks.
 */
export async function extractLatents(
  tokenizer: Tokenizer,
  data: ImageDataset,
  out: string,
  settings: ExtractSettings,
  context: ExtractContext,
): Promise<Extraction> {
  const { communicator = alone } = context;
  await agreeOnEach(communicator, {
    [`the digest of ${data.name}`]: data.digest,
    [`the digest of ${settings.spec}`]: tokenizer.digest,
  });
  return await holdFolder(out, { communicator }, () => extractHeld(tokenizer, data, out, settings, context));
}

async function extractHeld(
  tokenizer: Tokenizer,
  data: ImageDataset,
  out: string,
  settings: ExtractSettings,
  { log, signal, communicator = alone }: ExtractContext,
): Promise<Extraction> {
  const description = await describe(tokenizer, data, settings);
  const options = { ...settings, images: data.count, communicator, log };
  const writer = await createLatentsWriter(out, description, options);
  if (writer.rowsDone > 0) log.reused(`${out}: has latents of ${writer.rowsDone} images already`);
  const encode = batchEncoder(tokenizer, settings);
  const own = writer.missing.reduce((sum, { start, end }) => sum + end - start, 0);
  const before = communicator.size === 1 ? data.count - own : 0;
  const progress = log.progress(`extracting ${data.name}${ofRank(communicator)}`, before + own, 'images');
  const started = performance.now();
  let tried = before;
  let rows = 0;
  const part = async (): Promise<void> => {
    const { imageSize: size } = tokenizer;
    for await (const batch of batches(data, writer.missing, { size, batchSize: settings.batchSize, signal })) {
      writer.skip(batch.broken);
      const encoded = batch.images.length > 0 ? wantedRows(batch, await encode(batch)) : undefined;
      if (encoded && encoded.images.length > 0) await writer.append(encoded);
      rows += encoded?.images.length ?? 0;
      tried += batch.end - batch.start;
      progress.update(tried);
    }
    if (tried < before + own) {
      await writer.save();
      throw interrupted(out, `${tried} of ${before + own} images${ofRank(communicator)}`);
    }
  };
  await inParts(communicator, part).finally(() => progress.stop());
  await tellBroken(communicator, data);
  const made = await sumOf(communicator, rows);
  if (writer.rowsDone + made === 0) throw nothingReadable(data);
  const written = await writer.finish();
  return { ...written, imagesPerSecond: (made * 1000) / (performance.now() - started) };
}

/** Everything that the latents depend on: `meta` of latents.json. Resuming needs the same. */
async function describe(
  tokenizer: Tokenizer,
  data: ImageDataset,
  settings: ExtractSettings,
): Promise<LatentsDescription> {
  const [tokens, channels] = tokenizer.latentShape;
  const { grid } = tokenizer;
  return {
    tokens,
    channels,
    ...(grid ? { grid: [grid[0], grid[1]] } : {}),
    dtype: settings.dtype,
    classes: data.labels ? [...data.classes] : undefined,
    meta: {
      tokenizer: {
        name: tokenizer.name,
        family: tokenizer.family,
        spec: settings.spec,
        statistics: settings.latentStatistics ?? null,
        digest: tokenizer.digest,
        parameters: tokenizer.parameters ?? null,
      },
      data: { name: data.name, digest: data.digest, count: data.count },
      image_size: tokenizer.imageSize,
      decoding: data.decoding,
      crop: 'center (ADM)',
      pixels: tokenizer.pixels,
      ...(await normalisationCard(tokenizer.normalisation)),
      posterior: posteriorOf(tokenizer, settings),
      flips: settings.flips,
      precision: settings.precision,
      seed: settings.seed,
    },
  };
}

/** Mode or sample of the posterior: as requested, else as in the tokenizer's own pipeline. */
export const posteriorOf = (
  { posterior }: Pick<Tokenizer, 'posterior'>,
  settings: Pick<ExtractSettings, 'posterior'>,
): Tokenizer['posterior'] =>
  posterior === 'none' || posterior === 'sampled inside' ? posterior : (settings.posterior ?? posterior);

type Encoded = { latents: Float32Array; flipped?: Float32Array };

/** Images of a batch → latents [n, tokens, channels] on the host, and those of mirrored images if requested. */
function batchEncoder(tokenizer: Tokenizer, settings: ExtractSettings): (batch: ImageBatch) => Promise<Encoded> {
  const encoder = seededEncoder(tokenizer, settings);
  const encode = async (images: Tensor4D, indices: Int32Array, mirrored: boolean): Promise<Float32Array> => {
    const latents = await encoder(images, indices, mirrored);
    try {
      return (await latents.data()) as Float32Array;
    } finally {
      latents.dispose();
    }
  };
  return async ({ images, size, indices }) => {
    const plain = tf.tensor4d(images, [indices.length, size, size, 3]);
    const mirrored = settings.flips ? tf.reverse(plain, 2) : undefined;
    try {
      const latents = await encode(plain, indices, false);
      return { latents, ...(mirrored ? { flipped: await encode(mirrored, indices, true) } : {}) };
    } finally {
      tf.dispose([plain, mirrored ?? []]);
    }
  };
}

/**
 * Encodes images [n, h, w, 3], given their numbers in the data set, into latents that the caller owns: the posterior's
 * mode, or a sample by seed that is the same in every batch.
 */
export function seededEncoder(
  tokenizer: Pick<Tokenizer, 'encode' | 'latentShape' | 'posterior'>,
  settings: Pick<ExtractSettings, 'posterior' | 'seed'>,
): (images: Tensor4D, indices: Int32Array, mirrored?: boolean) => Promise<Tensor3D> {
  const random = new RandomStream(settings.seed).for('posterior');
  const samples = posteriorOf(tokenizer, settings) === 'sample';
  return async (images, indices, mirrored = false) => {
    const noise = samples ? noiseFor(random, indices, mirrored, tokenizer.latentShape) : undefined;
    try {
      return await tokenizer.encode(images, { noise });
    } finally {
      noise?.dispose();
    }
  };
}

/** Every image has its own numbers, whatever the batch; its mirror image has others. */
function noiseFor(
  random: RandomStream,
  indices: Int32Array,
  mirrored: boolean,
  [tokens, channels]: Tokenizer['latentShape'],
): Tensor3D {
  const size = tokens * channels;
  const noise = new Float32Array(indices.length * size);
  indices.forEach((index, row) => noise.set(random.at(mirrored ? 1 : 0, index).normals(size), row * size));
  return tf.tensor3d(noise, [indices.length, tokens, channels]);
}

interface ReadBatch extends ImageBatch {
  /** The images that are wanted of it: `start` to before `end`. */
  start: number;
  end: number;
  /** Those of them that cannot be read. */
  broken: number[];
}

/** How many batches are read ahead of the one being encoded. */
const AHEAD = 2;

interface Batching {
  /** Side of the images. */
  size: number;
  batchSize: number;
  signal: AbortSignal;
}

/**
 * Batches of the data set that hold images of some stretches, in order. They begin at multiples of their size, since the
 * rounding of an image's latents may depend on its batch: so those are the same, whoever encodes them and when. There are no
 * more once the signal is aborted, whatever is being read.
 */
async function* batches(
  data: ImageDataset,
  stretches: readonly Share[],
  { size, batchSize, signal }: Batching,
): AsyncGenerator<ReadBatch> {
  const readBatch = async ({ start, end }: Share): Promise<ReadBatch> => {
    const first = start - (start % batchSize);
    const whole = Array.from({ length: Math.min(batchSize, data.count - first) }, (_, i) => first + i);
    const batch = await loadBatch(data, whole, { size, crop: 'center', flip: false, signal });
    const present = new Set(batch.indices);
    const broken = whole.filter(index => index >= start && index < end && !present.has(index));
    return { ...batch, start, end, broken };
  };
  const read = (part: Share): Promise<ReadBatch> => {
    const batch = readBatch(part);
    // It may fail before it is asked for.
    batch.catch(() => undefined);
    return batch;
  };
  const parts = cutAtMultiples(stretches, batchSize);
  const ahead: Promise<ReadBatch>[] = [];
  try {
    for (;;) {
      while (ahead.length <= AHEAD && parts.length > 0) ahead.push(read(parts.shift()!));
      const next = ahead.shift();
      if (!next) return;
      const batch = await unlessStopped(next, signal);
      // Messages of the threads that decode can follow each other without end; signals wait until they do not.
      await nextTurn();
      if (!batch || signal.aborted) return;
      yield batch;
    }
  } finally {
    // Waits for reads in flight, so that nothing is read after the data set is closed.
    await Promise.allSettled(ahead);
  }
}

/** What is read; undefined where the signal has ended that. */
async function unlessStopped<T>(reading: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (signal.aborted && error === signal.reason) return undefined;
    throw error;
  }
}

/** The rows of a batch that are wanted. */
function wantedRows({ indices, labels, start, end }: ReadBatch, { latents, flipped }: Encoded): LatentsBatch {
  const first = indices.findIndex(index => index >= start);
  const last = indices.findLastIndex(index => index < end) + 1;
  const from = first < 0 ? last : first;
  const width = latents.length / indices.length;
  const part = (data: Float32Array): Float32Array => data.subarray(from * width, last * width);
  return {
    images: indices.subarray(from, last),
    latents: part(latents),
    flipped: flipped && part(flipped),
    labels: labels?.subarray(from, last),
  };
}

const interrupted = (out: string, where: string): UserError =>
  new UserError(`interrupted at ${where}; ${out} is saved, the same command with --resume continues`, EXIT.interrupted);

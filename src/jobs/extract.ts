import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { EXIT, UserError, type Log } from '../base/index.js';
import { loadBatch, nothingReadable, type ImageBatch, type ImageDataset } from '../data/index.js';
import { RandomStream, tf, type Precision, type Tensor3D, type Tensor4D } from '../engine/index.js';
import { checked, holdFolder, makeFolder, readJson, writeFileAtomic, type PosteriorName } from '../io/index.js';
import { createLatentsWriter, type LatentsDescription, type LatentsWriter } from '../latents/index.js';
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
 * next is read while the engine computes. An interruption keeps all finished batches; `resume` continues from there.
 */
export async function extractLatents(
  tokenizer: Tokenizer,
  data: ImageDataset,
  out: string,
  settings: ExtractSettings,
  context: ExtractContext,
): Promise<Extraction> {
  return await holdFolder(out, {}, () => extractHeld(tokenizer, data, out, settings, context));
}

async function extractHeld(
  tokenizer: Tokenizer,
  data: ImageDataset,
  out: string,
  settings: ExtractSettings,
  { log, signal }: ExtractContext,
): Promise<Extraction> {
  const writer = await createLatentsWriter(out, await describe(tokenizer, data, settings), { ...settings, log });
  const skipped = await openSkipped(out, settings.resume === true && writer.rowsDone > 0);
  const encode = batchEncoder(tokenizer, settings);
  const resumed = writer.rowsDone;
  if (resumed > 0) log.reused(`${out}: has latents of ${resumed} images already`);
  const progress = log.progress(`extracting ${data.name}`, data.count, 'images');
  const started = performance.now();
  let rows = resumed;
  try {
    for await (const batch of batches(data, skipped.firstAfter(resumed), tokenizer.imageSize, settings.batchSize)) {
      await skipped.add(batch.broken);
      if (batch.images.length > 0) await writer.append({ ...(await encode(batch)), labels: batch.labels });
      rows += batch.indices.length;
      progress.update(batch.end);
      if (signal.aborted && batch.end < data.count) throw await interrupted(writer, out, batch.end, data.count);
    }
  } finally {
    progress.stop();
  }
  if (rows === 0) throw nothingReadable(data);
  await writer.finish();
  return {
    rows,
    skipped: skipped.count,
    imagesPerSecond: ((rows - resumed) * 1000) / (performance.now() - started),
  };
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
  /** One past the last image that was tried. */
  end: number;
  /** Images among these that cannot be read. */
  broken: number[];
}

/** How many batches are read ahead of the one being encoded. */
const AHEAD = 2;

/** The data set from `start` on, in order. */
async function* batches(data: ImageDataset, start: number, size: number, batchSize: number): AsyncGenerator<ReadBatch> {
  const read = async (from: number): Promise<ReadBatch> => {
    const end = Math.min(from + batchSize, data.count);
    const wanted = Array.from({ length: end - from }, (_, i) => from + i);
    const batch = await loadBatch(data, wanted, { size, crop: 'center', flip: false });
    const present = new Set(batch.indices);
    return { ...batch, end, broken: wanted.filter(index => !present.has(index)) };
  };
  const ahead: Promise<ReadBatch>[] = [];
  let next = start;
  try {
    for (;;) {
      while (ahead.length <= AHEAD && next < data.count) {
        ahead.push(read(next));
        next += batchSize;
      }
      const batch = ahead.shift();
      if (!batch) return;
      yield await batch;
    }
  } finally {
    // Waits for reads in flight, so that nothing is read after the data set is closed.
    await Promise.allSettled(ahead);
  }
}

async function interrupted(writer: LatentsWriter, out: string, done: number, all: number): Promise<UserError> {
  await writer.save();
  return new UserError(
    `interrupted at ${done} of ${all} images; ${out} is saved, the same command with --resume continues`,
    EXIT.interrupted,
  );
}

async function readIndices(path: string): Promise<number[]> {
  if (!existsSync(path)) return [];
  try {
    return checked(path, await readJson(path), z.array(z.int().nonnegative()));
  } catch {
    throw new UserError(`${path}: is damaged; --force extracts again`, EXIT.failed);
  }
}

interface Skipped {
  readonly count: number;
  add(indices: number[]): Promise<void>;
  /** The image that follows the first `rows` readable ones. */
  firstAfter(rows: number): number;
}

/** Unreadable images by index, kept in the folder: rows count readable ones only, so resuming needs to know them. */
async function openSkipped(folder: string, resume: boolean): Promise<Skipped> {
  const path = join(folder, 'skipped.json');
  if (!resume) await rm(path, { force: true });
  const known = new Set(resume ? await readIndices(path) : []);
  const write = async (): Promise<void> => {
    await makeFolder(folder);
    await writeFileAtomic(path, `${JSON.stringify([...known].sort((a, b) => a - b))}\n`, { force: true });
  };
  return {
    get count() {
      return known.size;
    },
    async add(indices) {
      const before = known.size;
      for (const index of indices) known.add(index);
      if (known.size > before) await write();
    },
    firstAfter(rows) {
      let index = 0;
      for (let readable = 0; readable < rows; index++) if (!known.has(index)) readable++;
      return index;
    },
  };
}

import { EXIT, UserError, VERSION, type Log } from '../base/index.js';
import {
  elementCount,
  holdFolder,
  isFloat8,
  openWeights,
  refuseExisting,
  widened,
  writeSafetensors,
  type ArrayFile,
  type DType,
  type LazyArray,
  type NamelessDType,
  type PosteriorName,
} from '../io/index.js';
import type { Share } from '../distributed/index.js';
import { createLatentsWriter, openLatents, type Latents, type LatentsDescription } from '../latents/index.js';

export interface ConvertContext {
  log: Log;
  signal: AbortSignal;
}

export interface WeightsConversion {
  /** Which record of a checkpoint; default as `openWeights` chooses. */
  key?: string | undefined;
  /** What an .npz holds where NumPy did not store the name of the type. */
  nameless?: NamelessDType | undefined;
  /** Type to which floating-point tensors are converted; default: unchanged. */
  dtype?: DType | undefined;
  force?: boolean | undefined;
}

export interface ConvertedWeights {
  tensors: number;
  parameters: number;
  /** The record that was taken, empty where the file is one. */
  key: string;
}

/** Weights of any format → one safetensors file, tensor by tensor, so that they need not fit in memory together. */
export async function convertWeights(
  path: string,
  out: string,
  { key, dtype, nameless, force }: WeightsConversion,
  { log, signal }: ConvertContext,
): Promise<ConvertedWeights> {
  refuseExisting(out, force);
  const weights = await openWeights(path, { key, nameless, log });
  const { tensors, metadata } = weights;
  if (tensors.size === 0) throw new UserError(`${path}: holds no tensors`);
  const progress = log.progress(`converting ${path}`, tensors.size, 'tensors');
  let done = 0;
  const noted = (name: string): void => {
    if (signal.aborted) throw new UserError('interrupted; nothing was written', EXIT.interrupted);
    progress.update(++done, name);
  };
  try {
    await writeSafetensors(out, lazily(weights, dtype, noted), { metadata: { format: 'pt', ...metadata }, force });
  } finally {
    progress.stop();
    await weights.close();
  }
  const parameters = [...tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return { tensors: tensors.size, parameters, key: 'key' in metadata ? metadata.key : '' };
}

function lazily(file: ArrayFile, dtype: DType | undefined, noted: (name: string) => void): Record<string, LazyArray> {
  const entries = [...file.tensors].map(([name, { shape, dtype: stored }]): [string, LazyArray] => {
    const read = async () => {
      noted(name);
      return await file.read(name);
    };
    const chosen = dtype && widened(stored).startsWith('float') ? dtype : stored;
    // Numbers of eight bits are kept as what they are read as.
    return [name, { shape, dtype: isFloat8(chosen) ? 'float32' : chosen, read }];
  });
  return Object.fromEntries(entries);
}

export interface LatentsConversion {
  dtype?: LatentsDescription['dtype'];
  /** What a .npy or .npz holds where NumPy did not store the name of the type. */
  nameless?: NamelessDType | undefined;
  posterior?: PosteriorName | undefined;
  seed?: number | undefined;
  dropNonfinite?: boolean | undefined;
  limit?: number | undefined;
  shardRows?: number | undefined;
  resume?: boolean | undefined;
  force?: boolean | undefined;
}

/** Latents of any dialect → a latents folder, mirrored copies included where there are any. Gives the images' number. */
export async function convertLatents(
  path: string,
  out: string,
  settings: LatentsConversion,
  context: ConvertContext,
): Promise<number> {
  return await holdFolder(out, {}, () => convertHeld(path, out, settings, context));
}

async function convertHeld(
  path: string,
  out: string,
  settings: LatentsConversion,
  { log, signal }: ConvertContext,
): Promise<number> {
  const latents = await openBoth(path, settings, log);
  try {
    const images = latents.flips ? latents.rows.count / 2 : latents.rows.count;
    const count = Math.min(images, settings.limit ?? Infinity);
    const options = { ...settings, images: count, log };
    const writer = await createLatentsWriter(out, await description(latents.rows, settings), options);
    if (writer.rowsDone > 0) log.reused(`${out}: has latents of ${writer.rowsDone} images already`);
    let done = writer.rowsDone;
    const progress = log.progress(`converting ${path}`, count, 'images');
    const step = Math.max(1, Math.floor((8 << 20) / (4 * latents.rows.tokens * latents.rows.channels)));
    try {
      for (const rows of writer.missing.flatMap(stretch => consecutive(stretch, step))) {
        if (signal.aborted) {
          await writer.save();
          throw new UserError(`interrupted; ${out} is saved, --resume continues`, EXIT.interrupted);
        }
        await writer.append({
          images: rows,
          latents: await latents.rows.read(rows),
          ...(latents.flips && { flipped: await latents.rows.read(rows.map(row => images + row)) }),
          ...(latents.rows.labels && { labels: rows.map(row => latents.rows.labels![row]) }),
        });
        progress.update((done += rows.length));
      }
    } finally {
      progress.stop();
    }
    await writer.finish();
    return count;
  } finally {
    await latents.rows.close();
  }
}

/** The numbers of a stretch, some at a time. */
function consecutive({ start, end }: Share, step: number): number[][] {
  const all = Array.from({ length: end - start }, (_, i) => start + i);
  return Array.from({ length: Math.ceil(all.length / step) }, (_, i) => all.slice(i * step, (i + 1) * step));
}

/** With the mirrored copies behind the images, where there are any. */
async function openBoth(
  path: string,
  options: LatentsConversion,
  log: Log,
): Promise<{ rows: Latents; flips: boolean }> {
  const plain = await openLatents(path, { ...options, log });
  if (!plain.hasFlips) return { rows: plain, flips: false };
  await plain.close();
  return { rows: await openLatents(path, { ...options, log, flips: true }), flips: true };
}

async function description(latents: Latents, settings: LatentsConversion): Promise<LatentsDescription> {
  const { tokens, channels, grid, classes, meta } = latents;
  const { dtype, posterior, seed, dropNonfinite, limit } = settings;
  const converted = { from: latents.name, digest: await latents.digest(), posterior, dropNonfinite, limit };
  return {
    tokens,
    channels,
    grid,
    classes,
    dtype,
    meta: { ...meta, converted: { ...converted, ...(posterior === 'sample' && { seed }), version: VERSION } },
  };
}

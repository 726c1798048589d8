/* The whole job of `maetok extract` by MAETok-B (256 pixels, 128 latent tokens). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { silentLog } from '../../src/base/index.js';
import { exportFolder, loadBatch, openImages, type ImageDataset } from '../../src/data/index.js';
import { RandomStream, startEngine, tf, type Precision } from '../../src/engine/index.js';
import { configureEngine } from '../../src/engine/options.js';
import { readNpy, writeSafetensors } from '../../src/io/index.js';
import { extractLatents } from '../../src/jobs/extract.js';
import { openLatents } from '../../src/latents/index.js';
import { arraysFrom, type Params } from '../../src/nn/index.js';
import { initialParams, vitPreset, type VitConfig, type VitSize } from '../../src/tokenizers/vit/index.js';
import { tokenizerOf } from '../../src/tokenizers/vit/tokenizer.js';
import { measured, type Cost } from '../helpers/cost.js';
import type { Row } from '../helpers/table.js';
import { comparison, openTorch, told, type Turn } from '../helpers/torch.js';
import { apart } from '../helpers/apart.js';

/** Of latents, relative to the largest. */
export const LARGEST_DIFFERENCE = { f32: 2e-4, bf16: 0.1 };

export interface JobOptions {
  preset: string;
  precision: Precision;
  /** Precision of the peer. */
  against: Precision;
  count: number;
  batch: number;
  rounds: number;
  threads: number;
  quick: boolean;
  python: string;
}

/**
 * Ours is the whole job: images read from PNG files and cropped, encoded, written as shards. The peer only encodes the
 * same pixels, which it has in memory.
 */
export async function jobRow(options: JobOptions): Promise<Row> {
  const { preset, precision, against, count, batch, rounds, threads, quick, python } = options;
  configureEngine({ precision });
  const engine = await startEngine();
  const config = vitPreset('maetok', preset as VitSize);
  const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
  const data = await photos(join(folder, 'images'), count, config.imageSize);
  const params = moved(initialParams(config, new RandomStream(0).for('weights')));
  const shared = join(folder, 'case.safetensors');
  await writeCase(shared, config, params, data);
  // The tokenizer takes the parameters over.
  const tokenizer = tokenizerOf({ name: 'maetok', config, params, digest: '' });

  const script = fileURLToPath(new URL('../extract.py', import.meta.url));
  const args = [script, shared, JSON.stringify(config), folder, `${batch}`, `${threads}`, against];
  const torch = await openTorch<{ torch: string }, Cost>(args, { python, quick, modules: ['numpy', 'safetensors'] });

  const latents = join(folder, 'ours');
  const settings = { spec: 'random', flips: false, precision, seed: 0, batchSize: batch, force: true };
  try {
    const turns: Turn[] = [];
    const differences: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      const [, ours] = await measured(() => extractLatents(tokenizer, data, latents, settings, context()));
      const theirs = await torch.ask('round');
      turns.push({ ours, ...theirs });
      for (const way of Object.keys(theirs)) differences.push(await differenceOf(latents, join(folder, `${way}.npy`)));
      process.stderr.write(
        `maetok-${preset}, ${precision}, round ${round}: ${told(turns[round])} for ${count} images\n`,
      );
    }
    const difference = Math.max(...differences);
    if (difference > Math.max(LARGEST_DIFFERENCE[precision], LARGEST_DIFFERENCE[against]))
      throw new Error(`latents differ from PyTorch's by ${difference} of the largest`);
    const compared = comparison(turns.slice(1), count);
    return {
      work: `extract by maetok-${preset}, ${config.imageSize} px, batch ${batch}, an image`,
      engine,
      precision,
      peer: torch.ready && `PyTorch ${torch.ready.torch} ${against}`,
      ...compared,
      gflops: (1000 * gigaFlops(config)) / Number(compared.ms),
      max_rel_diff: differences.length > 0 ? difference : undefined,
    };
  } finally {
    torch.end();
    tokenizer.dispose();
    await data.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const context = () => ({ log: silentLog, signal: new AbortController().signal });

/** Drawn scenes as PNG files. */
async function photos(folder: string, count: number, size: number): Promise<ImageDataset> {
  const scenes = await openImages(`synthetic:scenes?count=${count}&size=${size}`);
  await exportFolder(scenes, folder, { ...context(), progress: silentLog.progress('', count, ''), force: false });
  return await openImages(folder);
}

/** The encoder's weights and all images, for the peer. */
async function writeCase(path: string, config: VitConfig, params: Params, data: ImageDataset): Promise<void> {
  const { imageSize: size } = config;
  const all = Array.from({ length: data.count }, (_, i) => i);
  const { images } = await loadBatch(data, all, { size, crop: 'center', flip: false });
  const encoder = Object.fromEntries(Object.entries(params).filter(([key]) => /^(encoder|quant_conv)\./.test(key)));
  await writeSafetensors(path, {
    ...(await arraysFrom(encoder)),
    images: { shape: [all.length, size, size, 3], dtype: 'float32', data: images },
  });
}

/** Of our latents from those in a peer's file. */
async function differenceOf(folder: string, path: string): Promise<number> {
  const latents = await openLatents(folder);
  const all = Array.from({ length: latents.count }, (_, i) => i);
  const ours = await latents.read(all).finally(() => latents.close());
  return apart(ours, (await readNpy(path)).data as Float32Array);
}

/** LayerScale starts near zero, which would hide most of the network from the comparison. */
function moved(initial: Params): Params {
  return Object.fromEntries(
    Object.entries(initial).map(([key, value]) => [key, key.endsWith('.gamma') ? tf.fill(value.shape, 0.3) : value]),
  );
}

/** Twice the multiply-adds of the encoder's products: a lower bound of the cost of an image. */
function gigaFlops({ encoder: { width: c, depth }, imageSize, patchSize, latentTokens }: VitConfig): number {
  const tokens = 1 + (imageSize / patchSize) ** 2 + latentTokens;
  return (2 * depth * (12 * tokens * c * c + 2 * tokens * tokens * c)) / 1e9;
}

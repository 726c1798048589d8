/* The whole job of `maetok extract` by MAETok-B (256 pixels, 128 latent tokens). */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { silentLog } from '../../src/base/index.js';
import { exportFolder, loadBatch, openImages } from '../../src/data/index.js';
import { RandomStream, startEngine, tf, type Precision } from '../../src/engine/index.js';
import { configureEngine } from '../../src/engine/options.js';
import { readNpy, writeSafetensors, type NdArray } from '../../src/io/index.js';
import { extractLatents } from '../../src/jobs/extract.js';
import { openLatents } from '../../src/latents/index.js';
import { arraysFrom, type Params } from '../../src/nn/index.js';
import { openTokenizer } from '../../src/tokenizers/index.js';
import { initialParams, vitPreset, type VitConfig, type VitSize } from '../../src/tokenizers/vit/index.js';
import { measured, type Cost } from '../helpers/cost.js';
import { elsewhere } from '../helpers/rows.js';
import type { Row } from '../helpers/table.js';
import { comparison, openTorch, told, type Turn } from '../helpers/torch.js';
import { apart } from '../helpers/apart.js';

/** Of latents, relative to the largest. */
export const LARGEST_DIFFERENCE = { f32: 2e-4, bf16: 0.1 };

/** What is extracted, and by what size of network. */
export interface JobCase {
  preset: string;
  count: number;
}

export interface JobOptions extends JobCase {
  precision: Precision;
  /** Precision of the peer. */
  against: Precision;
  batch: number;
  rounds: number;
  threads: number;
  quick: boolean;
  python: string;
}

const configOf = ({ preset }: JobCase): VitConfig => vitPreset('maetok', preset as VitSize);

/** Makes drawn scenes as PNG files, the same pixels for the peer, and a tokenizer of random weights. */
export async function prepareJob(folder: string, job: JobCase): Promise<void> {
  await startEngine();
  const config = configOf(job);
  const scenes = await openImages(`synthetic:scenes?count=${job.count}&size=${config.imageSize}`);
  const images = join(folder, 'images');
  await exportFolder(scenes, images, { ...context(), progress: silentLog.progress('', job.count, ''), force: false });
  await writeSafetensors(join(folder, 'images.safetensors'), { images: await pixelsOf(images, config.imageSize) });
  mkdirSync(join(folder, 'tokenizer'));
  const params = moved(initialParams(config, new RandomStream(0).for('weights')));
  await writeSafetensors(join(folder, 'tokenizer', 'model.safetensors'), await arraysFrom(params));
  const network = { family: 'vit', model: 'maetok', config };
  writeFileSync(join(folder, 'tokenizer', 'config.json'), JSON.stringify({ network }));
}

/**
 * Ours is the whole job: images read from PNG files and cropped, encoded, written as shards. The peer only encodes the
 * same pixels, which it has in memory.
 */
export async function jobRow(options: JobOptions): Promise<Row> {
  const { preset, precision, against, count, batch, rounds, threads, quick, python } = options;
  configureEngine({ precision });
  const engine = await startEngine();
  const config = configOf(options);
  const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
  const job = ['--preset', preset, '--count', `${count}`];
  elsewhere(new URL('../extract.ts', import.meta.url).href, [...job, '--prepare', folder]);
  const data = await openImages(join(folder, 'images'));
  const tokenizer = await openTokenizer(join(folder, 'tokenizer'), { only: 'encode' });

  const script = fileURLToPath(new URL('../extract.py', import.meta.url));
  const args = [script, JSON.stringify(config), folder, `${batch}`, `${threads}`, against];
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

async function pixelsOf(folder: string, size: number): Promise<NdArray> {
  const data = await openImages(folder);
  const all = Array.from({ length: data.count }, (_, i) => i);
  const { images } = await loadBatch(data, all, { size, crop: 'center', flip: false });
  await data.close();
  return { shape: [all.length, size, size, 3], dtype: 'float32', data: images };
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

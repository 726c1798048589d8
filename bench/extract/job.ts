/* The whole job of `maetok extract` by MAETok-B (256 pixels, 128 latent tokens), float32 and bfloat16. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { silentLog } from '../../src/base/index.js';
import { exportFolder, loadBatch, openImages } from '../../src/data/index.js';
import { RandomStream, startEngine, tf, type Tensor } from '../../src/engine/index.js';
import { configureEngine } from '../../src/engine/options.js';
import { readNpy, writeSafetensors } from '../../src/io/index.js';
import { extractLatents } from '../../src/jobs/extract.js';
import { openLatents } from '../../src/latents/index.js';
import { arraysFrom } from '../../src/nn/index.js';
import { initialParams, vitPreset, type VitConfig, type VitSize } from '../../src/tokenizers/vit/index.js';
import { tokenizerOf } from '../../src/tokenizers/vit/tokenizer.js';
import { apart } from '../helpers/apart.js';
import { openPeer } from '../helpers/peer.js';
import { median, type Row } from '../helpers/table.js';

export interface JobOptions {
  preset: string;
  count: number;
  batch: number;
  rounds: number;
  threads: number;
  python: string;
}

type Precision = 'f32' | 'bf16';

/**
 * Ours is the whole job: images read from PNG files and cropped, encoded, written as shards. The peer only encodes the
 * same pixels, which it has in memory.
 */
export async function jobRows({ preset, count, batch, rounds, threads, python }: JobOptions): Promise<Row[]> {
  const config = vitPreset('maetok', preset as VitSize);
  const engine = await startEngine();
  const params = moved(initialParams(config, new RandomStream(0).for('weights')));
  const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
  const photos = join(folder, 'images');
  const scenes = await openImages(`synthetic:scenes?count=${count}&size=${config.imageSize}`);
  const context = { log: silentLog, signal: new AbortController().signal };
  await exportFolder(scenes, photos, { ...context, progress: silentLog.progress('', count, ''), force: false });
  const data = await openImages(photos);

  const shared = join(folder, 'case.safetensors');
  const all = Array.from({ length: count }, (_, i) => i);
  const { images } = await loadBatch(data, all, { size: config.imageSize, crop: 'center', flip: false });
  const encoder = Object.fromEntries(Object.entries(params).filter(([key]) => /^(encoder|quant_conv)\./.test(key)));
  await writeSafetensors(shared, {
    ...(await arraysFrom(encoder)),
    images: { shape: [count, config.imageSize, config.imageSize, 3], dtype: 'float32', data: images },
  });
  // The tokenizer takes the parameters over.
  const tokenizer = tokenizerOf({ name: 'maetok', config, params, digest: '' });

  const script = fileURLToPath(new URL('../extract.py', import.meta.url));
  const theirLatents = join(folder, 'theirs.npy');
  const peer = await openPeer<{ torch: string }, { seconds: number }>(
    python,
    [script, shared, JSON.stringify(config), theirLatents, `${batch}`, `${threads}`],
    { needs: 'torch and safetensors' },
  );

  /** Images per second, including reading and writing. */
  const ourRound = async (precision: Precision): Promise<number> => {
    configureEngine({ precision });
    const settings = { spec: 'random', flips: false, precision, seed: 0, batchSize: batch, force: true };
    return (await extractLatents(tokenizer, data, join(folder, precision), settings, context)).imagesPerSecond;
  };
  const theirRound = async (): Promise<number> => count / (await peer.ask('round')).seconds;
  const numbersOf = async (path: string): Promise<Float32Array> => {
    const latents = await openLatents(path);
    return await latents.read(all).finally(() => latents.close());
  };

  try {
    const rates: Record<Precision | 'peer', number[]> = { f32: [], bf16: [], peer: [] };
    // The first round warms all three up.
    for (let round = 0; round <= rounds; round++) {
      const rate = { f32: await ourRound('f32'), bf16: await ourRound('bf16'), peer: await theirRound() };
      process.stderr.write(
        `round ${round}: ${Object.entries(rate)
          .map(([who, value]) => `${who} ${value.toFixed(2)}/s`)
          .join(', ')}\n`,
      );
      if (round > 0) for (const who of ['f32', 'bf16', 'peer'] as const) rates[who].push(rate[who]);
    }
    const { data: theirs } = await readNpy(theirLatents);
    const rows = [];
    for (const precision of ['f32', 'bf16'] as const) {
      const rate = median(rates[precision]);
      rows.push({
        work: `extract by maetok-${preset}, ${config.imageSize} px, batch ${batch}`,
        engine,
        precision,
        peer: `PyTorch ${peer.ready.torch} f32`,
        images_per_s: rate,
        peer_images_per_s: median(rates.peer),
        ratio: rate / median(rates.peer),
        gflops: rate * gigaFlops(config),
        max_rel_diff: apart(await numbersOf(join(folder, precision)), theirs as Float32Array),
      });
    }
    const { max_rel_diff: difference } = rows[0];
    if (!(difference < 1e-4)) throw new Error(`float32 latents differ by ${difference} of the largest`);
    return rows;
  } finally {
    peer.end();
    tokenizer.dispose();
    await data.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** LayerScale starts near zero, which would hide most of the network from the comparison. */
function moved(initial: Record<string, Tensor>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(initial).map(([key, value]) => [key, key.endsWith('.gamma') ? tf.fill(value.shape, 0.3) : value]),
  );
}

/** Twice the multiply-adds of the encoder's products: a lower bound of the cost of an image. */
function gigaFlops({ encoder: { width: c, depth }, imageSize, patchSize, latentTokens }: VitConfig): number {
  const tokens = 1 + (imageSize / patchSize) ** 2 + latentTokens;
  return (2 * depth * (12 * tokens * c * c + 2 * tokens * tokens * c)) / 1e9;
}

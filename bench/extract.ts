/* `maetok extract` by MAETok-B (256 pixels, 128 latent tokens, random weights), float32 and bfloat16, against PyTorch eager float32. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { silentLog } from '../src/base/index.js';
import { exportFolder, loadBatch, openImages } from '../src/data/index.js';
import { RandomStream, startEngine, tf, type Tensor } from '../src/engine/index.js';
import { configureEngine } from '../src/engine/options.js';
import { writeSafetensors } from '../src/io/index.js';
import { extractLatents } from '../src/jobs/extract.js';
import { openLatents } from '../src/latents/index.js';
import { arraysFrom } from '../src/nn/index.js';
import { initialParams, vitPreset, type VitSize } from '../src/tokenizers/vit/index.js';
import { tokenizerOf } from '../src/tokenizers/vit/tokenizer.js';
import { openPeer } from './helpers/peer.js';
import { csvOf, median } from './helpers/table.js';

/*
 * Ours is the whole job: images read from PNG files and cropped, encoded, written as shards. The peer only encodes the
 * same pixels, which it has in memory. The three take turns, so that other load on the machine affects all equally;
 * all have the same weights, and the latents are compared. Medians over the rounds.
 */
const { values: flags } = parseArgs({
  options: {
    preset: { type: 'string', default: 'base' },
    count: { type: 'string', default: '16' },
    batch: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    quick: { type: 'boolean', default: false },
    python: { type: 'string', default: process.env.MAETOK_BENCH_PYTHON ?? 'python3' },
  },
});
const preset = (flags.quick ? 'tiny' : flags.preset) as VitSize;
const [count, batchSize] = [flags.count, flags.batch].map(Number);
const rounds = flags.quick ? 1 : Number(flags.rounds);

const config = vitPreset('maetok', preset);
const engine = await startEngine();
const random = new RandomStream(0);
const params = moved(initialParams(config, random.for('weights')));

/** LayerScale starts near zero, which would hide most of the network from the comparison. */
function moved(initial: Record<string, Tensor>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(initial).map(([key, value]) => [key, key.endsWith('.gamma') ? tf.fill(value.shape, 0.3) : value]),
  );
}

const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
const photos = join(folder, 'images');
const scenes = await openImages(`synthetic:scenes?count=${count}&size=${config.imageSize}`);
const context = { log: silentLog, signal: new AbortController().signal };
await exportFolder(scenes, photos, { ...context, progress: silentLog.progress('', count, ''), force: false });
const data = await openImages(photos);
const tokenizer = tokenizerOf({ name: 'maetok', config, params, digest: '' });

const shared = join(folder, 'case.safetensors');
const all = Array.from({ length: count }, (_, i) => i);
const { images } = await loadBatch(data, all, { size: config.imageSize, crop: 'center', flip: false });
const encoder = Object.fromEntries(Object.entries(params).filter(([key]) => /^(encoder|quant_conv)\./.test(key)));
await writeSafetensors(shared, {
  ...(await arraysFrom(encoder)),
  images: { shape: [count, config.imageSize, config.imageSize, 3], dtype: 'float32', data: images },
});

const script = fileURLToPath(new URL('extract.py', import.meta.url));
const theirLatents = join(folder, 'theirs.npy');
const peer = await openPeer<{ torch: string }, { seconds: number }>(
  flags.python,
  [script, shared, JSON.stringify(config), theirLatents, flags.batch, flags.threads],
  { needs: 'torch and safetensors' },
);

type Precision = 'f32' | 'bf16';

/** Images per second, including reading and writing. */
async function ourRound(precision: Precision): Promise<number> {
  configureEngine({ precision });
  const settings = { spec: 'random', flips: false, precision, seed: 0, batchSize, force: true };
  return (await extractLatents(tokenizer, data, join(folder, precision), settings, context)).imagesPerSecond;
}

const theirRound = async (): Promise<number> => count / (await peer.ask('round')).seconds;

const numbersOf = async (path: string): Promise<Float32Array> => {
  const latents = await openLatents(path);
  return await latents.read(all).finally(() => latents.close());
};

/** Largest difference relative to the largest latent. */
function apart(ours: Float32Array, theirs: Float32Array): number {
  const largest = theirs.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return theirs.reduce((most, value, i) => Math.max(most, Math.abs(value - ours[i])), 0) / largest;
}

/** Twice the multiply-adds of the encoder's products: a lower bound of the cost of an image. */
function gigaFlops(): number {
  const { width: c, depth } = config.encoder;
  const tokens = 1 + (config.imageSize / config.patchSize) ** 2 + config.latentTokens;
  return (2 * depth * (12 * tokens * c * c + 2 * tokens * tokens * c)) / 1e9;
}

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
  const theirs = await numbersOf(theirLatents);
  const rows = await Promise.all(
    (['f32', 'bf16'] as const).map(async precision => ({
      work: `extract by maetok-${preset}, ${config.imageSize} px, batch ${batchSize}`,
      engine,
      precision,
      peer: `PyTorch ${peer.ready.torch} f32`,
      images_per_s: median(rates[precision]),
      peer_images_per_s: median(rates.peer),
      ratio: median(rates[precision]) / median(rates.peer),
      gflops: median(rates[precision]) * gigaFlops(),
      max_rel_diff: apart(await numbersOf(join(folder, precision)), theirs),
    })),
  );
  process.stdout.write(csvOf(rows));
  const { max_rel_diff: difference } = rows[0];
  if (!(difference < 1e-4)) throw new Error(`float32 latents differ by ${difference} of the largest`);
} finally {
  peer.end();
  tokenizer.dispose();
  await data.close();
  rmSync(folder, { recursive: true, force: true });
}

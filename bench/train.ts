/* One training step of MAETok (ViT-S encoder and decoder, 256 pixels, 128 latent tokens) against PyTorch eager. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { RandomStream, startEngine, tf, type Tensor, type Tensor4D } from '../src/engine/index.js';
import { configureEngine } from '../src/engine/settings.js';
import { writeSafetensors } from '../src/io/index.js';
import { arraysFrom } from '../src/nn/index.js';
import {
  decode,
  encode,
  initialParams,
  randomMasks,
  vitPreset,
  PUBLISHED_RATIO,
  type VitSize,
} from '../src/tokenizers/vit/index.js';
import { Trainer } from '../src/training/trainer.js';
import { DEFAULT_SETTINGS } from '../src/training/index.js';

/*
 * The two take turns, step by step, so that whatever else the machine does weighs on both alike; both start from the
 * same weights on the same pictures and masks, and the first losses are compared. Medians over the timed steps.
 */
const { values: flags } = parseArgs({
  options: {
    preset: { type: 'string', default: 'small' },
    batch: { type: 'string', default: '4' },
    steps: { type: 'string', default: '7' },
    warmup: { type: 'string', default: '2' },
    precision: { type: 'string', default: 'f32' },
    /** Precision of the peer; default the same. */
    against: { type: 'string' },
    threads: { type: 'string', default: '2' },
    python: { type: 'string', default: process.env.MAETOK_BENCH_PYTHON ?? 'python3' },
  },
});

const config = vitPreset('maetok', flags.preset as VitSize);
const size = config.imageSize;
const count = Number(flags.batch);
const patches = (size / config.patchSize) ** 2;

configureEngine({ precision: flags.precision as 'f32' | 'bf16' });
const engine = await startEngine();
const random = new RandomStream(0);
const params = moved(initialParams(config, random.for('weights')));
const images = tf.tidy(() => tf.clipByValue(random.for('images').normalTensor([count, size, size, 3]).mul(0.5), -1, 1));
const mask = tf.tensor2d(randomMasks(random.for('mask'), PUBLISHED_RATIO, count, patches), [count, patches]);

/** Zero modulation and all but zero LayerScale would hide most of the network from a comparison of losses. */
function moved(initial: Record<string, Tensor>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(initial).map(([key, value]) => {
      if (/\.gamma$/.test(key)) return [key, tf.fill(value.shape, 0.3)];
      return [key, key.includes('adaLN') ? random.for(key).normalTensor(value.shape).mul(0.05) : value];
    }),
  );
}

const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
const shared = join(folder, 'case.safetensors');
await writeSafetensors(shared, await arraysFrom({ ...params, images, mask }));

const script = fileURLToPath(new URL('train.py', import.meta.url));
const against = flags.against ?? flags.precision;
const peer = spawn(flags.python, [script, shared, JSON.stringify(config), against, flags.threads], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
const answers = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();
const answer = async (): Promise<Record<string, number | string>> => {
  const { value, done } = (await answers.next()) as { value?: string; done?: boolean };
  if (done || value === undefined) throw new Error(`${flags.python} ${script} ended early`);
  return JSON.parse(value) as Record<string, number | string>;
};

interface Step {
  ms: number;
  loss: number;
  /** MB */
  peak: number;
}

const trainer = new Trainer(
  {
    name: 'maetok',
    params,
    batch: () => Promise.reject(new Error('not asked')),
    loss: weights => {
      const { latents } = encode(config, weights, images as Tensor4D, { mask });
      const loss = decode(config, weights, latents).output.sub(images).square().mean().asScalar();
      return { loss, metrics: {} };
    },
  },
  { ...DEFAULT_SETTINGS, ema: 0 },
);

async function ourStep(step: number): Promise<Step> {
  const start = performance.now();
  const { values, names } = await trainer.step(step, () => Promise.resolve({}));
  const numbers = await values.data();
  values.dispose();
  const ms = performance.now() - start;
  return { ms, loss: numbers[1 + names.indexOf('loss')], peak: process.resourceUsage().maxRSS / 1024 };
}

async function theirStep(): Promise<Step> {
  peer.stdin.write('step\n');
  return (await answer()) as unknown as Step;
}

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

try {
  const { torch } = await answer();
  const [ours, theirs]: [Step[], Step[]] = [[], []];
  for (let step = 0; step < Number(flags.warmup) + Number(flags.steps); step++) {
    ours.push(await ourStep(step));
    theirs.push(await theirStep());
    process.stderr.write(
      `step ${step}: maetok ${ours[step].ms.toFixed(0)} ms, loss ${ours[step].loss.toFixed(5)}; ` +
        `PyTorch ${theirs[step].ms.toFixed(0)} ms, loss ${theirs[step].loss.toFixed(5)}\n`,
    );
  }
  const timed = (steps: Step[]): number => median(steps.slice(Number(flags.warmup)).map(({ ms }) => ms));
  const peak = (steps: Step[]): number => Math.max(...steps.map(step => step.peak));
  const row = {
    work: `maetok-${flags.preset} step, ${size} px, batch ${count}`,
    engine,
    precision: flags.precision,
    peer: `PyTorch ${String(torch)} ${against}`,
    ms: timed(ours),
    peer_ms: timed(theirs),
    throughput_ratio: timed(theirs) / timed(ours),
    peak_mb: peak(ours),
    peer_peak_mb: peak(theirs),
    first_loss: ours[0].loss,
    peer_first_loss: theirs[0].loss,
  };
  process.stdout.write(`${Object.keys(row).join(',')}\n${Object.values(row).map(String).join(',')}\n`);
} finally {
  peer.kill();
  trainer.dispose();
  rmSync(folder, { recursive: true, force: true });
}

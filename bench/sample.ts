/* Sampling from SiT-B on 128 × 32 latents, Euler steps with classifier-free guidance, against PyTorch, eager and compiled. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  DEFAULT_SAMPLER,
  initialise,
  isTable,
  networkConfig,
  openDiffusion,
  OWN_OBJECTIVE,
  sampleLatents,
  timeGrid,
  type Diffusion,
  type SamplingPlan,
} from '../src/diffusion/index.js';
import { RandomStream, startEngine } from '../src/engine/index.js';
import { configureEngine } from '../src/engine/options.js';
import { readSafetensors, writeSafetensors } from '../src/io/index.js';
import { arraysFrom, type Params } from '../src/nn/index.js';
import { measured, type Cost } from './helpers/cost.js';
import { eachRow, elsewhere } from './helpers/rows.js';
import { csvOf, median } from './helpers/table.js';
import { comparison, openTorch, told, type Turn } from './helpers/torch.js';

/*
 * The cost is in the network's passes, which are all alike, so a round is a few steps from t = 0 to 1; samples/s are stated for a
 * trajectory of fifty. A row runs in processes of its own, so that its memory is measured separately. The sides take turns,
 * round by round, so that other load on the machine affects all equally; all start from the same weights, noise and labels,
 * and the resulting latents are compared. Medians over the timed rounds; in the first one PyTorch compiles.
 */
const { values: flags } = parseArgs({
  options: {
    model: { type: 'string', default: 'sit-b' },
    batch: { type: 'string', default: '4' },
    steps: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '5' },
    warmup: { type: 'string', default: '1' },
    guidance: { type: 'string', default: '1.5' },
    /** One row alone: `f32` or `bf16`. */
    precision: { type: 'string' },
    /** Precision of the peer; default the same. */
    against: { type: 'string' },
    threads: { type: 'string', default: '2' },
    /** A small network and one round: whether everything runs, not how fast. */
    quick: { type: 'boolean', default: false },
    /** Only writes the weights into this file. */
    prepare: { type: 'string' },
    python: { type: 'string', default: process.env.MAETOK_BENCH_PYTHON ?? 'python3' },
  },
});
const ROWS = [
  ['--precision', 'f32'],
  ['--precision', 'bf16'],
];
const TRAJECTORY = 50;
const [TOKENS, CHANNELS, CLASSES] = [128, 32, 1000];
const { python, quick } = flags;
const model = quick ? 'sit-tiny' : flags.model;
const [rounds, warmup] = quick ? [1, 1] : [flags.rounds, flags.warmup].map(Number);
const [batch, steps, guidance] = [flags.batch, flags.steps, flags.guidance].map(Number);
const CONFIG = networkConfig(model, { tokens: TOKENS, channels: CHANNELS }, { classes: CLASSES });
const samples = Array.from({ length: batch }, (_, k) => k);
const labels = Int32Array.from(samples, k => (k * 37) % CLASSES);

/** How far latents may be apart: root mean square of the difference over that of the peer's. */
const TOLERANCE: Record<string, number> = { f32: 1e-4, bf16: 0.1 };

async function oneRow(precision: string, against: string): Promise<void> {
  configureEngine({ precision: precision as 'f32' | 'bf16' });
  const engine = await startEngine();
  const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
  const weights = join(folder, 'weights.safetensors');
  elsewhere(import.meta.url, [...process.argv.slice(2), '--prepare', weights]);
  const plan = samplingPlan(await openDiffusion(weights, { heads: CONFIG.heads }));
  const shared = join(folder, 'start.safetensors');
  await writeSafetensors(shared, {
    start: { shape: [batch, TOKENS, CHANNELS], dtype: 'float32', data: startingNoise(plan.random) },
    labels: { shape: [batch], dtype: 'int32', data: labels },
  });
  const script = fileURLToPath(new URL('sample.py', import.meta.url));
  const asked = JSON.stringify([CONFIG, Array.from(timeGrid(steps + 1)), guidance]);
  const args = [script, weights, shared, asked, against, flags.threads];
  const torch = await openTorch<{ torch: string }, Cost>(args, { python, quick, modules: ['safetensors'] });
  try {
    const turns: Turn[] = [];
    const differences: number[] = [];
    for (let round = 0; round < warmup + rounds; round++) {
      const [latents, ours] = await measured(() => sampled(plan));
      const theirs = await torch.ask('sample');
      turns.push({ ours, ...theirs });
      process.stderr.write(`${model}, ${precision}, round ${round}: ${told(turns[round])} for ${steps} steps\n`);
      for (const way of Object.keys(theirs)) differences.push(await differenceOf(latents, `${shared}.${way}`));
    }
    const difference = Math.max(...differences);
    if (difference > Math.max(TOLERANCE[precision], TOLERANCE[against]))
      throw new Error(`latents differ from PyTorch's by ${difference} of their size`);
    const timed = turns.slice(warmup);
    const row = {
      work: `step of ${model} with CFG, ${TOKENS}×${CHANNELS} latents, batch ${batch}`,
      engine,
      precision,
      peer: torch.ready && `PyTorch ${torch.ready.torch} ${against}`,
      ...comparison(timed, steps),
      samples_per_s_50_steps: (batch * steps) / (TRAJECTORY * median(timed.map(({ ours }) => ours.seconds))),
      relative_difference: differences.length > 0 ? difference : undefined,
    };
    process.stdout.write(csvOf([row]));
  } finally {
    torch.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function prepare(path: string): Promise<void> {
  await startEngine();
  const random = new RandomStream(0);
  await writeSafetensors(path, await arraysFrom(moved(initialise(CONFIG, random.for('weights')), random)));
}

function samplingPlan({ config, params }: Diffusion): SamplingPlan {
  const random = new RandomStream(0);
  return {
    model: { config, params, objective: OWN_OBJECTIVE },
    guidance: { scale: guidance, interval: [0, 1], rescale: 0 },
    sampler: { ...DEFAULT_SAMPLER, steps },
    random: random.for('samples'),
  };
}

/** Modulation and last layer start at zero, which would hide the rest of the network from the comparison. */
function moved(initial: Params, random: RandomStream): Params {
  return Object.fromEntries(
    Object.entries(initial).map(([key, value]) => {
      const zero = !isTable(key) && (key.includes('adaLN') || key.startsWith('final_layer'));
      return [key, zero ? random.for(key).normalTensor(value.shape).mul(0.05) : value];
    }),
  );
}

/** Each sample's starting noise, as `sampleLatents` draws it. */
function startingNoise(random: SamplingPlan['random']): Float32Array {
  const width = TOKENS * CHANNELS;
  const noise = new Float32Array(batch * width);
  for (const k of samples) noise.set(random.for('start').at(0, k).normals(width), k * width);
  return noise;
}

async function sampled(plan: SamplingPlan): Promise<Float32Array> {
  const tensor = await sampleLatents(plan, samples, labels);
  return await tensor.data<'float32'>().finally(() => tensor.dispose());
}

/** Of our latents from those in a peer's file. */
async function differenceOf(ours: Float32Array, path: string): Promise<number> {
  const theirs = (await readSafetensors(path)).latents.data as Float32Array;
  const squares = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(squares(ours.map((value, i) => value - theirs[i])) / squares(theirs));
}

if (flags.prepare !== undefined) await prepare(flags.prepare);
else if (flags.precision === undefined) eachRow(import.meta.url, ROWS, process.argv.slice(2));
else await oneRow(flags.precision, flags.against ?? flags.precision);

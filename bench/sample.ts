/* Sampling from SiT-B on 128 × 32 latents, Euler steps with classifier-free guidance, against PyTorch eager. */
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
  OWN_OBJECTIVE,
  sampleLatents,
  timeGrid,
  type SamplingPlan,
} from '../src/diffusion/index.js';
import { RandomStream, startEngine } from '../src/engine/index.js';
import { configureEngine } from '../src/engine/options.js';
import { readSafetensors, writeSafetensors } from '../src/io/index.js';
import { arraysFrom, type Params } from '../src/nn/index.js';
import { openPeer } from './helpers/peer.js';
import { csvOf, median } from './helpers/table.js';

/*
 * The cost is in the network's passes, which are all alike, so a round is a few steps from t = 0 to 1; samples/s are stated for a
 * trajectory of fifty. The two take turns, round by round, so that other load on the machine affects both equally;
 * both start from the same weights, noise and labels, and the resulting latents are compared. Medians over the
 * timed rounds.
 */
const { values: flags } = parseArgs({
  options: {
    model: { type: 'string', default: 'sit-b' },
    batch: { type: 'string', default: '4' },
    steps: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '5' },
    warmup: { type: 'string', default: '1' },
    guidance: { type: 'string', default: '1.5' },
    precision: { type: 'string', default: 'f32' },
    /** Precision of the peer; default the same. */
    against: { type: 'string' },
    threads: { type: 'string', default: '2' },
    /** A small network and one round: whether everything runs, not how fast. */
    quick: { type: 'boolean', default: false },
    python: { type: 'string', default: process.env.MAETOK_BENCH_PYTHON ?? 'python3' },
  },
});
const TRAJECTORY = 50;
const [TOKENS, CHANNELS, CLASSES] = [128, 32, 1000];
const model = flags.quick ? 'sit-tiny' : flags.model;
const [rounds, warmup] = flags.quick ? [1, 1] : [flags.rounds, flags.warmup].map(Number);
const [batch, steps, guidance] = [flags.batch, flags.steps, flags.guidance].map(Number);

configureEngine({ precision: flags.precision as 'f32' | 'bf16' });
const engine = await startEngine();
const random = new RandomStream(0);
const config = networkConfig(model, { tokens: TOKENS, channels: CHANNELS }, { classes: CLASSES });
const params = moved(initialise(config, random.for('weights')));
const samples = Array.from({ length: batch }, (_, k) => k);
const labels = Int32Array.from(samples, k => (k * 37) % CLASSES);
const plan: SamplingPlan = {
  model: { config, params, objective: OWN_OBJECTIVE },
  guidance: { scale: guidance, interval: [0, 1], rescale: 0 },
  sampler: { ...DEFAULT_SAMPLER, steps },
  random: random.for('samples'),
};

/** Modulation and last layer start at zero, which would hide the rest of the network from the comparison. */
function moved(initial: Params): Params {
  return Object.fromEntries(
    Object.entries(initial).map(([key, value]) => {
      const zero = !isTable(key) && (key.includes('adaLN') || key.startsWith('final_layer'));
      return [key, zero ? random.for(key).normalTensor(value.shape).mul(0.05) : value];
    }),
  );
}

/** Sample k's starting noise, as `sampleLatents` draws it. */
const start = new Float32Array(batch * TOKENS * CHANNELS);
for (const k of samples)
  start.set(
    plan.random
      .for('start')
      .at(0, k)
      .normals(TOKENS * CHANNELS),
    k * TOKENS * CHANNELS,
  );

const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
const shared = join(folder, 'weights.safetensors');
await writeSafetensors(shared, {
  ...(await arraysFrom(params)),
  start: { shape: [batch, TOKENS, CHANNELS], dtype: 'float32', data: start },
  labels: { shape: [batch], dtype: 'int32', data: labels },
});

const script = fileURLToPath(new URL('sample.py', import.meta.url));
const against = flags.against ?? flags.precision;
const asked = JSON.stringify([config, Array.from(timeGrid(steps + 1)), guidance]);
const peer = await openPeer<{ torch: string }, { ms: number }>(flags.python, [
  script,
  shared,
  asked,
  against,
  flags.threads,
]);

interface Round {
  /** Per step. */
  ms: number;
  latents: Float32Array;
}

async function ourRound(): Promise<Round> {
  const began = performance.now();
  const tensor = await sampleLatents(plan, samples, labels);
  const latents = (await tensor.data()) as Float32Array;
  const ms = (performance.now() - began) / steps;
  tensor.dispose();
  return { ms, latents };
}

async function theirRound(): Promise<Round> {
  const { ms } = await peer.ask('sample');
  const { latents } = await readSafetensors(`${shared}.latents`);
  return { ms: ms / steps, latents: latents.data as Float32Array };
}

/** Root mean square of the difference over that of b. */
function relativeDifference(a: Float32Array, b: Float32Array): number {
  const squares = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(squares(a.map((value, i) => value - b[i])) / squares(b));
}

try {
  const [ours, theirs]: [Round[], Round[]] = [[], []];
  for (let round = 0; round < warmup + rounds; round++) {
    ours.push(await ourRound());
    theirs.push(await theirRound());
    process.stderr.write(
      `round ${round}: maetok ${ours[round].ms.toFixed(0)} ms per step, PyTorch ${theirs[round].ms.toFixed(0)} ms\n`,
    );
  }
  const timed = (measured: Round[]): number => median(measured.slice(warmup).map(({ ms }) => ms));
  const perSecond = (ms: number): number => batch / (TRAJECTORY * (ms / 1000));
  const row = {
    work: `${model} ${TOKENS}×${CHANNELS}, batch ${batch}, CFG, ${steps} Euler steps a round`,
    engine,
    precision: flags.precision,
    peer: `PyTorch ${peer.ready.torch} ${against}`,
    step_ms: timed(ours),
    peer_step_ms: timed(theirs),
    samples_per_second_50_steps: perSecond(timed(ours)),
    peer_samples_per_second_50_steps: perSecond(timed(theirs)),
    throughput_ratio: timed(theirs) / timed(ours),
    relative_difference: relativeDifference(ours[0].latents, theirs[0].latents),
  };
  process.stdout.write(csvOf([row]));
} finally {
  peer.end();
  rmSync(folder, { recursive: true, force: true });
}

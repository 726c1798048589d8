/* Training steps of MAETok (ViT-S at 256 pixels) and SiT-S (128 × 32 latents) against PyTorch, eager and compiled. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { RandomStream, startEngine } from '../src/engine/index.js';
import { configureEngine } from '../src/engine/options.js';
import { withWeightArrays } from '../src/io/index.js';
import { paramsFrom, type HostArray, type Params } from '../src/nn/index.js';
import type { VitSize } from '../src/tokenizers/vit/index.js';
import { DEFAULT_SETTINGS } from '../src/training/index.js';
import { Trainer } from '../src/training/trainer.js';
import { measured, type Cost } from './helpers/cost.js';
import { eachRow, elsewhere } from './helpers/rows.js';
import { csvOf } from './helpers/table.js';
import { comparison, openTorch, told, type Each } from './helpers/torch.js';
import { maetok, sit, writeCase, type Work } from './train/works.js';

/*
 * Each row runs in processes of its own, so that its memory is measured separately. In a row the sides take turns, step by
 * step, so that other load on the machine affects all equally; all start from the same weights on the same numbers, and
 * the first losses are compared. Medians over the timed steps; the first steps, in which PyTorch compiles, are not timed.
 */
const { values: flags } = parseArgs({
  options: {
    /** One row alone: `maetok` or `sit`. */
    work: { type: 'string' },
    size: { type: 'string', default: 'small' },
    model: { type: 'string', default: 'sit-s' },
    batch: { type: 'string' },
    steps: { type: 'string', default: '7' },
    warmup: { type: 'string', default: '2' },
    engine: { type: 'string' },
    precision: { type: 'string', default: 'f32' },
    /** Precision of the peer; default the same. */
    against: { type: 'string' },
    threads: { type: 'string', default: '2' },
    /** Tiny networks and one timed step, to check that it runs. */
    quick: { type: 'boolean', default: false },
    /** Only writes weights and inputs into this file. */
    prepare: { type: 'string' },
    python: { type: 'string', default: process.env.MAETOK_BENCH_PYTHON ?? 'python3' },
  },
});
const { python, threads, precision, against = precision } = flags;
const [steps, warmup] = flags.quick ? [1, 1] : [flags.steps, flags.warmup].map(Number);

const ROWS = [
  ['--work', 'maetok'],
  ['--work', 'maetok', '--precision', 'bf16'],
  ['--work', 'maetok', '--precision', 'bf16', '--against', 'f32'],
  ['--work', 'sit'],
  ['--work', 'sit', '--precision', 'bf16'],
  ['--work', 'maetok', '--engine', 'wasm', '--size', 'tiny', '--batch', '2'],
  ['--work', 'sit', '--engine', 'wasm', '--model', 'sit-tiny'],
];
const QUICK = ['--size', 'tiny', '--model', 'sit-tiny', '--batch', '2'];

/** How far first losses may be apart, relative. */
const TOLERANCE: Record<string, number> = { f32: 1e-4, bf16: 0.02 };

/** A step's cost and loss. */
interface Step extends Cost {
  loss: number;
}

function chosenWork(): Work {
  const random = new RandomStream(0);
  return flags.work === 'sit'
    ? sit(flags.model, Number(flags.batch ?? 32), random)
    : maetok(flags.size as VitSize, Number(flags.batch ?? 4), random);
}

async function prepare(path: string): Promise<void> {
  await startEngine();
  await writeCase(path, chosenWork());
}

async function oneRow(): Promise<void> {
  configureEngine({ engine: flags.engine, precision: precision as 'f32' | 'bf16' });
  const engine = await startEngine();
  const work = chosenWork();
  const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
  const shared = join(folder, 'case.safetensors');
  elsewhere(import.meta.url, [...process.argv.slice(2), '--prepare', shared]);
  const script = fileURLToPath(new URL('train.py', import.meta.url));
  const args = [script, shared, JSON.stringify(work.config), against, threads, flags.work!];
  const torch = await openTorch<{ torch: string }, Step>(args, {
    python,
    modules: ['safetensors'],
    quick: flags.quick,
  });
  const trainer = trainerOf(work, await withWeightArrays(shared, weightsAmong));
  try {
    const turns: ({ ours: Step } & Each<Step>)[] = [];
    for (let step = 0; step < warmup + steps; step++) {
      const turn = { ours: await ourStep(trainer, step), ...(await torch.ask('step')) };
      process.stderr.write(`${work.name}, step ${step}: ${told(turn)}\n`);
      turns.push(turn);
    }
    requireAgreement(turns[0]);
    const row = {
      work: `training step of ${work.name}`,
      engine,
      precision,
      peer: torch.ready && `PyTorch ${torch.ready.torch} ${against}`,
      ...comparison(turns.slice(warmup)),
      first_loss: turns[0].ours.loss,
      peer_first_loss: turns[0].eager?.loss,
    };
    process.stdout.write(csvOf([row]));
  } finally {
    torch.end();
    trainer.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

const weightsAmong = (arrays: Record<string, HostArray>): Params =>
  paramsFrom(Object.fromEntries(Object.entries(arrays).filter(([name]) => !name.startsWith('data.'))));

function trainerOf({ name, loss, trains, weightDecay }: Work, params: Params): Trainer {
  const task = { name, params, loss, batch: () => Promise.reject(new Error('not asked')) };
  return new Trainer({ ...task, ...(trains ? { trains } : {}) }, { ...DEFAULT_SETTINGS, weightDecay, ema: 0 });
}

async function ourStep(trainer: Trainer, step: number): Promise<Step> {
  const [loss, cost] = await measured(async () => {
    const { values, names } = await trainer.step(step, () => Promise.resolve({}));
    const numbers = await values.data();
    values.dispose();
    return numbers[1 + names.indexOf('loss')];
  });
  return { ...cost, loss };
}

function requireAgreement({ ours, ...theirs }: { ours: Step } & Each<Step>): void {
  const tolerance = Math.max(TOLERANCE[precision], TOLERANCE[against]);
  for (const [way, { loss }] of Object.entries(theirs))
    if (!(Math.abs(ours.loss / loss - 1) < tolerance))
      throw new Error(`the first loss is ${ours.loss} here, ${loss} in PyTorch, ${way}`);
}

if (flags.prepare !== undefined) await prepare(flags.prepare);
else if (flags.work === undefined)
  eachRow(import.meta.url, ROWS, [...(flags.quick ? QUICK : []), ...process.argv.slice(2)]);
else await oneRow();

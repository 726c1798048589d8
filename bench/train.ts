/* Training steps of MAETok (ViT-S at 256 pixels) and SiT-S (128 × 32 latents) against PyTorch eager: time and memory. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { RandomStream, startEngine } from '../src/engine/index.js';
import { configureEngine } from '../src/engine/options.js';
import { writeSafetensors } from '../src/io/index.js';
import { arraysFrom } from '../src/nn/index.js';
import type { VitSize } from '../src/tokenizers/vit/index.js';
import { DEFAULT_SETTINGS } from '../src/training/index.js';
import { Trainer } from '../src/training/trainer.js';
import { openPeer } from './helpers/peer.js';
import { csvOf, median } from './helpers/table.js';
import { maetok, sit } from './train/works.js';

/*
 * Each row runs in a separate process, so that its memory is measured separately. In a row the two sides take turns, step by step, so
 * that other load on the machine affects both equally; both start from the same weights on the same numbers, and
 * the first losses are compared. Medians over the timed steps; the peaks are each process's, its runtime included.
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
    precision: { type: 'string', default: 'f32' },
    /** Precision of the peer; default the same. */
    against: { type: 'string' },
    threads: { type: 'string', default: '2' },
    /** Tiny networks and one timed step, to check that it runs. */
    quick: { type: 'boolean', default: false },
    python: { type: 'string', default: process.env.MAETOK_BENCH_PYTHON ?? 'python3' },
  },
});

const ROWS = [
  ['--work', 'maetok'],
  ['--work', 'maetok', '--precision', 'bf16'],
  ['--work', 'maetok', '--precision', 'bf16', '--against', 'f32'],
  ['--work', 'sit'],
];
const QUICK = ['--size', 'tiny', '--model', 'sit-tiny', '--batch', '2', '--steps', '1', '--warmup', '1'];

function allRows(): void {
  const given = process.argv.slice(2).filter(word => word !== '--quick');
  ROWS.forEach((row, i) => {
    const argv = ['--import', 'tsx', fileURLToPath(import.meta.url), ...row, ...(flags.quick ? QUICK : []), ...given];
    const { stdout, status } = spawnSync(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    if (status !== 0) process.exit(status ?? 1);
    const [head, cells] = stdout.toString().trim().split('\n');
    process.stdout.write(i === 0 ? `${head}\n${cells}\n` : `${cells}\n`);
  });
}

interface Step {
  ms: number;
  /** Time on all processors. */
  cpu: number;
  loss: number;
  /** MB */
  peak: number;
}

async function oneRow(): Promise<void> {
  configureEngine({ precision: flags.precision as 'f32' | 'bf16' });
  const engine = await startEngine();
  const random = new RandomStream(0);
  const work =
    flags.work === 'sit'
      ? sit(flags.model, Number(flags.batch ?? 32), random)
      : maetok(flags.size as VitSize, Number(flags.batch ?? 4), random);
  const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
  const shared = join(folder, 'case.safetensors');
  await writeSafetensors(shared, {
    ...(await arraysFrom(work.params)),
    ...prefixed(await arraysFrom(work.data)),
  });
  const peer = await startPeer(shared, work.config);
  const { params, loss, trains, weightDecay } = work;
  const task = { name: work.name, params, loss, batch: () => Promise.reject(new Error('not asked')) };
  const trainer = new Trainer({ ...task, ...(trains ? { trains } : {}) }, { ...DEFAULT_SETTINGS, weightDecay, ema: 0 });
  try {
    const [ours, theirs]: [Step[], Step[]] = [[], []];
    for (let step = 0; step < Number(flags.warmup) + Number(flags.steps); step++) {
      ours.push(await ourStep(trainer, step));
      theirs.push(await peer.ask('step'));
      process.stderr.write(
        `step ${step}: maetok ${ours[step].ms.toFixed(0)} ms, loss ${ours[step].loss.toFixed(5)}; ` +
          `PyTorch ${theirs[step].ms.toFixed(0)} ms, loss ${theirs[step].loss.toFixed(5)}\n`,
      );
    }
    print(work.name, engine, `PyTorch ${peer.ready.torch} ${flags.against ?? flags.precision}`, ours, theirs);
  } finally {
    peer.end();
    trainer.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function ourStep(trainer: Trainer, step: number): Promise<Step> {
  const start = performance.now();
  const before = process.cpuUsage();
  const { values, names } = await trainer.step(step, () => Promise.resolve({}));
  const numbers = await values.data();
  values.dispose();
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(before);
  return {
    ms,
    cpu: (user + system) / 1000,
    loss: numbers[1 + names.indexOf('loss')],
    peak: process.resourceUsage().maxRSS / 1024,
  };
}

function startPeer(shared: string, config: object) {
  const script = fileURLToPath(new URL('train.py', import.meta.url));
  const argv = [script, shared, JSON.stringify(config), flags.against ?? flags.precision, flags.threads];
  return openPeer<{ torch: string }, Step>(flags.python, [...argv, flags.work!]);
}

/** So that no input can have a weight's name. */
const prefixed = <T>(arrays: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(arrays).map(([name, array]) => [`data.${name}`, array]));

function print(work: string, engine: string, peer: string, ours: Step[], theirs: Step[]): void {
  const middle = (steps: Step[], of: 'ms' | 'cpu'): number =>
    median(steps.slice(Number(flags.warmup)).map(step => step[of]));
  const peak = (steps: Step[]): number => Math.max(...steps.map(step => step.peak));
  const row = {
    work,
    engine,
    precision: flags.precision,
    peer,
    ms: middle(ours, 'ms'),
    peer_ms: middle(theirs, 'ms'),
    throughput_ratio: middle(theirs, 'ms') / middle(ours, 'ms'),
    cpu_ms: middle(ours, 'cpu'),
    peer_cpu_ms: middle(theirs, 'cpu'),
    peak_mb: peak(ours),
    peer_peak_mb: peak(theirs),
    memory_ratio: peak(ours) / peak(theirs),
    first_loss: ours[0].loss,
    peer_first_loss: theirs[0].loss,
  };
  process.stdout.write(csvOf([row]));
}

if (flags.work === undefined) allRows();
else await oneRow();

/* Seconds and peak memory of commands over rows, dimensions, components, images, tokens and batch, with fitted exponents. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startEngine } from '../src/engine/index.js';
import { readTable } from '../src/report/index.js';
import { drawGrowth } from './growth/chart.js';
import { costAt, fitGrowth } from './growth/fit.js';
import { inputsIn } from './growth/inputs.js';
import { SERIES, type Series } from './growth/series.js';
import { csvOf, type Row } from './helpers/table.js';

/*
 * `npm run bench -- growth [COMMAND…] [--quick]`. Every measurement is a run of the command line in a process of its own,
 * from its start to its end; the least of a few rounds counts. The exponent is that of a + b·nᵖ, where the smallest size
 * shows a, what every run costs (see growth/fit.ts). The table goes to standard output and, with charts, to bench/out.
 */
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '2' },
    /** Measures nothing; draws these tables of earlier runs together. */
    draw: { type: 'string', multiple: true },
    /** Three sizes of one dimension of each command: whether everything runs, not how it grows. */
    quick: { type: 'boolean', default: false },
  },
});
/** What may be above the exponent that an algorithm has. */
const TOLERANCE = 0.05;
const rounds = flags.quick ? 1 : Number(flags.rounds);

const script = fileURLToPath(new URL('growth/command.ts', import.meta.url));

interface Cost {
  seconds: number;
  /** Seconds of all threads together. */
  cpu: number;
  /** MB */
  peak: number;
}

/** On the same engine at every size: for few rows some commands would choose another. */
const env = { ...process.env, MAETOK_ENGINE: await startEngine() };

/** Runs the command line. @throws Error where it fails. */
function maetok(words: string[]): Cost {
  const started = performance.now();
  const argv = ['--import', 'tsx', script, ...words, '--quiet'];
  const stdio = ['ignore', 'ignore', 'pipe', 'pipe'] as const;
  const { output, status } = spawnSync(process.execPath, argv, { stdio: [...stdio], encoding: 'utf8', env });
  if (status !== 0) throw new Error(`maetok ${words.join(' ')}: ${output[2] ?? ''}`);
  return { seconds: (performance.now() - started) / 1000, ...(JSON.parse(output[3]!) as Omit<Cost, 'seconds'>) };
}

const folder = mkdtempSync(join(tmpdir(), 'maetok-growth-'));
const { inputs, make } = inputsIn(folder, maetok);

async function rowsOf({ command, dimension, sizes, expected, words }: Series): Promise<Row[]> {
  const costs: Cost[] = [];
  for (const size of flags.quick ? sizes.slice(0, 3) : sizes) {
    const runs: Cost[] = [];
    for (let round = 0; round < rounds; round++) {
      const line = [command.split(' ')[0], ...words(size, inputs)];
      await make();
      runs.push(maetok(line));
    }
    costs.push(runs.reduce((least, run) => (run.seconds < least.seconds ? run : least)));
    const { seconds, peak } = costs.at(-1)!;
    process.stderr.write(`${command}, ${size} ${dimension}: ${seconds.toFixed(2)} s, ${peak.toFixed(0)} MB\n`);
  }
  const seconds = costs.map(cost => cost.seconds);
  const growth = fitGrowth(sizes.slice(0, costs.length), seconds);
  if (growth && growth.exponent > expected + TOLERANCE)
    process.stderr.write(`${command} over ${dimension}: the exponent is ${growth.exponent.toFixed(2)}\n`);
  return costs.map((cost, i) => ({
    command,
    dimension,
    size: sizes[i],
    seconds: cost.seconds,
    cpu_seconds: cost.cpu,
    peak_mb: cost.peak,
    fixed_seconds: growth?.fixed,
    exponent: growth?.exponent,
    expected,
    fitted_seconds: growth && costAt(growth, sizes[i]),
  }));
}

const unknown = positionals.find(name => !SERIES.some(({ command }) => command.split(' ')[0] === name));
if (unknown !== undefined) {
  process.stderr.write(`bench: no growth of ${unknown} is measured\n`);
  process.exit(2);
}
const wanted = SERIES.filter(({ command }) => positionals.length === 0 || positionals.includes(command.split(' ')[0]));
const first = wanted.filter((one, i) => wanted.findIndex(({ command }) => command === one.command) === i);
const out = fileURLToPath(new URL('out', import.meta.url));
mkdirSync(out, { recursive: true });
const path = join(out, ['growth', ...positionals, ...(flags.quick ? ['quick'] : [])].join('-'));

async function measure(): Promise<void> {
  const rows: Row[] = [];
  for (const series of flags.quick ? first : wanted) {
    rows.push(...(await rowsOf(series)));
    // Series by series, so that measurements survive a later failure.
    writeFileSync(`${path}.csv`, csvOf(rows));
  }
  await drawGrowth(rows, path);
  process.stdout.write(csvOf(rows));
}

try {
  if (flags.draw === undefined) await measure();
  else
    await drawGrowth(
      (await Promise.all(flags.draw.map(readTable))).flatMap(({ rows }) => rows),
      path,
    );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

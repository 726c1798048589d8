/* PCA, mixtures, probes and neighbours against scikit-learn and PyTorch: times, memory and agreement of both sides in one run. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startEngine } from '../src/engine/index.js';
import { chartOf, parseTable, rasterise, renderSvg } from '../src/report/index.js';
import type { Answer, Case, Work } from './analysis/work.js';
import { openPeer, openPython, type Peer } from './helpers/peer.js';
import { median, quoted } from './helpers/table.js';

/*
 * `npm run bench -- analysis [WORK…] [--quick]`. Both sides of a case are separate processes with the same number
 * of threads; they take turns, so that other load on the machine affects both equally. No ratio is given before
 * the answers agree. The table goes to standard output and, with a chart, to bench/out.
 */
const WORKS = ['em', 'latents', 'sweep', 'pca', 'logistic', 'dinov2', 'knn'];

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    threads: { type: 'string', default: String(availableParallelism()) },
    python: { type: 'string', default: process.env.MAETOK_BENCH_PYTHON ?? 'python3' },
  },
});
const threads = Number(flags.threads);
const wanted = positionals.length > 0 ? positionals : WORKS;
const unknown = wanted.find(name => !WORKS.includes(name));
if (unknown !== undefined) {
  process.stderr.write(`bench: there is no work ${unknown}; there are ${WORKS.join(', ')}\n`);
  process.exit(2);
}

const beside = (name: string): string => fileURLToPath(new URL(`analysis/${name}`, import.meta.url));

interface Run {
  seconds: number;
  /** Seconds of all cores together: what is left to compare on a machine with other work. */
  cpu: number;
  /** MB, since the process began. */
  peak: number;
  answer: Answer;
}

/** What a side says of itself when it is ready. */
interface Ready {
  version: string;
  /** MB before the first run: libraries, and what the side has got ready. */
  start: number;
}

/** Number of threads for whichever library a side uses for matrix products. */
const pinned = Object.fromEntries(
  ['OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'TF_NUM_INTRAOP_THREADS'].map(name => [
    name,
    flags.threads,
  ]),
);

const openOurs = (args: string[]): Promise<Peer<Ready, Run>> =>
  openPeer(process.execPath, ['--import', 'tsx', beside('side.ts'), ...args], pinned);
const SCIKIT_LEARN = ['numpy', 'scipy', 'sklearn'];
const openTheirs = (name: string, args: string[], modules = SCIKIT_LEARN): Promise<Peer<Ready, Run> | undefined> =>
  openPython(flags.python, [beside(`${name}.py`), ...args], modules, pinned);

interface Measured extends Ready {
  runs: Run[];
}

/** Each side's runs, by turns: ours first. */
async function measure(
  name: string,
  work: Work,
  { label, parameters, rounds }: Case,
  folder: string,
): Promise<Measured[]> {
  const place = [JSON.stringify(parameters), folder, flags.threads];
  const sides = [await openOurs([name, ...place])];
  const peer = work.peer === undefined ? undefined : await openTheirs(name, place, work.modules);
  if (peer) sides.push(peer);
  const runs: Run[][] = sides.map(() => []);
  try {
    for (let round = 0; round < Number(flags.rounds ?? rounds ?? 3); round++)
      for (const [i, side] of sides.entries()) {
        const run = await side.ask('run');
        runs[i].push(run);
        const seconds = `${run.seconds.toFixed(2)} s (CPU ${run.cpu.toFixed(2)} s), ${run.peak.toFixed(0)} MB`;
        process.stderr.write(
          `${label}: ${i === 0 ? 'maetok' : side.ready.version} ${seconds} ${JSON.stringify(run.answer)}\n`,
        );
      }
  } finally {
    sides.forEach(side => side.end());
  }
  return sides.map(({ ready }, i) => ({ ...ready, runs: runs[i] }));
}

/** A side's columns; seconds are the median's, per step. */
function columns(prefix: string, { runs, start }: Pick<Measured, 'runs' | 'start'>, steps: number) {
  const seconds = runs.map(run => run.seconds / steps);
  return {
    [`${prefix}seconds`]: median(seconds),
    [`${prefix}seconds_low`]: Math.min(...seconds),
    [`${prefix}seconds_high`]: Math.max(...seconds),
    [`${prefix}cpu_seconds`]: median(runs.map(run => run.cpu / steps)),
    [`${prefix}start_mb`]: start,
    [`${prefix}peak_mb`]: Math.max(...runs.map(run => run.peak)),
  };
}

type Row = Record<string, string | number | undefined>;
const NAMES = ['work', 'case', 'rows', 'engine', 'peer', 'threads', 'rounds'];
const OURS = Object.keys(columns('', { runs: [], start: 0 }, 1));
const THEIRS = OURS.map(name => `peer_${name}`);
const JUDGED = ['times_faster', 'at_least', 'memory_share', 'memory_share_beyond_start', 'memory_below', 'difference'];
const FURTHER = ['parameters', 'found', 'peer_found'];
const COLUMNS = [...NAMES, ...OURS, ...THEIRS, ...JUDGED, ...FURTHER];

async function rowOf(name: string, work: Work, one: Case): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
  try {
    process.stderr.write(`${one.label}: prepares\n`);
    await work.prepare?.(one.parameters, { folder, threads });
    const [ours, theirs] = (await measure(name, work, one, folder)) as [Measured, Measured?];
    const { label, parameters, steps = 1, atLeast, memoryBelow } = one;
    const row: Row = {
      work: name,
      case: label,
      rows: parameters.rows,
      engine: ours.version,
      threads,
      rounds: ours.runs.length,
      ...columns('', ours, steps),
      parameters: JSON.stringify(parameters),
      found: JSON.stringify(ours.runs[0].answer),
    };
    if (theirs === undefined) return row;
    const theirColumns = columns('peer_', theirs, steps);
    const difference = work.difference?.(ours.runs[0].answer, theirs.runs[0].answer);
    return {
      ...{ ...row, ...theirColumns, peer: `${work.peer} (${theirs.version})` },
      peer_found: JSON.stringify(theirs.runs[0].answer),
      ...(difference === undefined
        ? {
            times_faster: theirColumns.peer_seconds / Number(row.seconds),
            memory_share: Number(row.peak_mb) / theirColumns.peer_peak_mb,
            memory_share_beyond_start: (Number(row.peak_mb) - ours.start) / (theirColumns.peer_peak_mb - theirs.start),
            at_least: atLeast,
            memory_below: memoryBelow,
          }
        : { difference }),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const cell = (value: Row[string]): string => quoted(typeof value === 'number' ? Number(value.toPrecision(5)) : value);
const csvOf = (rows: Row[]): string =>
  [COLUMNS, ...rows.map(row => COLUMNS.map(name => cell(row[name])))].map(line => `${line.join(',')}\n`).join('');

/** How much faster than the peer. */
async function drawChart(rows: Row[], path: string): Promise<void> {
  const judged = rows.filter(row => row.times_faster !== undefined);
  if (judged.length === 0) return;
  const title = 'Times faster than the peer';
  const choice = { kind: 'bar', x: 'case', y: 'times_faster', color: 'work', title } as const;
  const svg = await renderSvg(chartOf(parseTable(csvOf(judged), 'bench'), choice));
  writeFileSync(`${path}.svg`, svg);
  writeFileSync(`${path}.png`, rasterise(svg));
}

const out = fileURLToPath(new URL('out', import.meta.url));
mkdirSync(out, { recursive: true });
const path = join(out, ['analysis', ...positionals, ...(flags.quick ? ['quick'] : [])].join('-'));
await startEngine();
const rows: Row[] = [];
for (const name of wanted) {
  const { work } = (await import(`./analysis/${name}.ts`)) as { work: Work };
  const cases = work.cases(flags.quick);
  if (cases.length === 0) process.stderr.write(`${name}: its data are not here\n`);
  for (const one of cases) {
    rows.push(await rowOf(name, work, one));
    // Case by case, so that measurements survive a later failure.
    writeFileSync(`${path}.csv`, csvOf(rows));
  }
}
await drawChart(rows, path);
process.stdout.write(csvOf(rows));

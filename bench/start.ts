/* Start of commands: seconds and memory from the shell's point of view, on few rows and on next to none. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { RandomNumbers } from '../src/base/index.js';
import { writeNpz } from '../src/io/index.js';
import { clusteredRows } from './helpers/clusters.js';
import { csvOf, median, type Row } from './helpers/table.js';

/*
 * `npm run bench -- start [--quick] [--rounds N]`, on the built program (`npm run setup`). A run on a few dozen rows is all
 * start; one on the rows has the work too. Commands take turns, so that a slower while of the machine meets all of them.
 */
const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '3000' },
    width: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '5' },
    quick: { type: 'boolean', default: false },
  },
});
const FEW = 60;
const CLASSES = 5;
const rounds = flags.quick ? 1 : Number(flags.rounds);
const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));

interface Started {
  /** The words after `maetok`. */
  words: string[];
  rows: number | undefined;
}

interface Used {
  seconds: number;
  cpu: number;
  peak: number;
}

try {
  await measure();
} finally {
  rmSync(folder, { recursive: true });
}

async function measure(): Promise<void> {
  const started: Started[] = [{ words: ['--help'], rows: undefined }];
  for (const rows of flags.quick ? [FEW] : [FEW, Number(flags.rows)]) {
    const latents = await planted(rows, Number(flags.width));
    const table = join(folder, `${rows}.csv`);
    const gmm = ['analyze-gmm', latents, '--components', '5,10'];
    await run([...gmm, '--out', table]);
    for (const words of [
      ['plot', table],
      gmm,
      ['probe', latents],
      ['diagnose', latents],
      [...gmm, '--engine', 'native'],
    ])
      started.push({ words, rows });
  }
  const used = started.map((): Used[] => []);
  for (let round = 0; round < rounds; round++)
    for (const [i, { words }] of started.entries()) used[i].push(await run(words));
  process.stdout.write(csvOf(started.map((one, i) => rowOf(one, used[i]))));
}

function rowOf({ words, rows }: Started, used: Used[]): Row {
  const middle = (name: keyof Used): number => median(used.map(one => one[name]));
  return {
    command: words.filter(word => !word.startsWith(folder)).join(' '),
    rows,
    seconds: middle('seconds').toFixed(2),
    cpu_seconds: middle('cpu').toFixed(2),
    peak_mb: middle('peak').toFixed(0),
  };
}

/** Labelled clusters as latents of one token each. */
async function planted(rows: number, width: number): Promise<string> {
  const path = join(folder, `${rows}.npz`);
  await writeNpz(path, {
    latents: { data: clusteredRows(rows, width, new RandomNumbers(0)), shape: [rows, width], dtype: 'float32' },
    labels: { data: Int32Array.from({ length: rows }, (_, row) => row % CLASSES), shape: [rows], dtype: 'int32' },
  });
  return path;
}

async function run(words: string[]): Promise<Used> {
  const began = performance.now();
  const args = ['--require', file('start/usage.cjs'), file('../bin/maetok.js'), ...words];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  const [said, told, [code]] = await Promise.all([
    text(child.stderr!),
    text(child.stdio[3] as Readable),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  if (code !== 0) throw new Error(`${words.join(' ')}: ${said}`);
  return { ...(JSON.parse(told) as Omit<Used, 'seconds'>), seconds: (performance.now() - began) / 1000 };
}

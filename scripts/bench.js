/*
 * `npm run bench -- NAME [arguments]` runs bench/NAME.ts, `all` one after the other, whatever becomes of each; without a
 * name, lists what there is.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../bench', import.meta.url));
const [name, ...rest] = process.argv.slice(2);
const benches = readdirSync(folder)
  .filter(file => file.endsWith('.ts'))
  .map(file => file.replace(/\.ts$/, ''));

if (name !== 'all' && !benches.includes(name)) {
  if (name !== undefined) process.stderr.write(`bench: there is no bench/${name}.ts; these are there:\n`);
  for (const bench of benches) process.stdout.write(`${bench.padEnd(24)}${about(bench)}\n`);
  process.exit(name === undefined ? 0 : 2);
}
process.stderr.write(`bench: ${machine()}\n`);
if (name !== 'all') process.exit(run(name));
const failed = benches.filter(bench => timed(bench) !== 0);
if (failed.length > 0) process.stderr.write(`bench: failed: ${failed.join(', ')}\n`);
process.exit(failed.length === 0 ? 0 : 1);

function run(bench) {
  const argv = ['--import', 'tsx', join(folder, `${bench}.ts`), ...rest];
  return spawnSync(process.execPath, argv, { stdio: 'inherit' }).status ?? 1;
}

function timed(bench) {
  const started = performance.now();
  process.stderr.write(`bench: ${bench}\n`);
  const status = run(bench);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  process.stderr.write(`bench: ${bench} ${status === 0 ? 'ended' : 'FAILED'} after ${seconds} s\n`);
  return status;
}

/** The first line of a bench's opening comment. */
function about(bench) {
  const comment = /^\/\*+\s*(?:\*\s*)?([^\n*]+)/.exec(readFileSync(join(folder, `${bench}.ts`), 'utf8'))?.[1] ?? '';
  return comment.trim();
}

/** The processor, and of its instructions those that speeds depend on. */
function machine() {
  const info = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  const field = key => new RegExp(`^${key}\\s*: (.*)$`, 'm').exec(info)?.[1];
  const has = (field('flags') ?? '').split(' ');
  const named = { avx2: 'AVX2', avx512f: 'AVX-512', avx512_bf16: 'AVX-512 BF16', amx_tile: 'AMX' };
  const sets = Object.keys(named).filter(flag => has.includes(flag));
  const kind = info === '' ? process.arch : `family ${field('cpu family')} model ${field('model')}`;
  return [
    `${cpus()[0]?.model ?? 'unknown processor'} (${kind})`,
    `${availableParallelism()} cores`,
    ...sets.map(flag => named[flag]),
  ].join(', ');
}

/* Our side of one case: `NAME PARAMETERS FOLDER THREADS`; each line on stdin runs it once. See peer.py. */
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { startEngine } from '../../src/engine/index.js';
import type { Parameters, Work } from './work.js';

const [name, parameters, folder, threads] = process.argv.slice(2);
const say = (line: unknown): boolean => process.stdout.write(`${JSON.stringify(line)}\n`);

/** MB, as peer.py has it. */
const STATUS = '/proc/self/status';
const peak = (): number =>
  (existsSync(STATUS)
    ? Number(/VmHWM:\s*(\d+)/.exec(readFileSync(STATUS, 'utf8'))?.[1])
    : process.resourceUsage().maxRSS) / 1024;

const version = await startEngine();
const { work } = (await import(`./${name}.ts`)) as { work: Work };
const run = await work.open(JSON.parse(parameters) as Parameters, { folder, threads: Number(threads) });
say({ version, start: peak() });
for await (const line of createInterface({ input: process.stdin })) {
  if (line !== 'run') break;
  const started = performance.now();
  const before = process.cpuUsage();
  const answer = await run();
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(before);
  say({ seconds, cpu: (user + system) / 1e6, peak: peak(), answer });
}
process.exit(0);

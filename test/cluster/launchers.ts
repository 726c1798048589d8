import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe } from '@jest/globals';

/** The words that start the product. */
export const MAETOK = [process.execPath, fileURLToPath(new URL('../../bin/maetok.js', import.meta.url))];

/** How a program ended and what it said. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
  /** All of it, the standard output first. */
  said: string;
  seconds: number;
}

/** Programs that start ranks, by the words that come before the program. */
export const LAUNCHERS = {
  'Open MPI': (ranks: number) => ['mpirun.openmpi', '--oversubscribe', '-np', String(ranks)],
  MPICH: (ranks: number) => ['mpiexec.hydra', '-n', String(ranks)],
  torchrun: (ranks: number) => ['torchrun', '--standalone', '--nproc-per-node', String(ranks), '--no-python'],
};

export type LauncherName = keyof typeof LAUNCHERS;

/** Root may start ranks, and TensorFlow says nothing of itself. */
const ENVIRONMENT = { OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1', TF_CPP_MIN_LOG_LEVEL: '3' };
const LONGEST_MS = 120_000;

/** A program under way. */
export interface Running {
  pid: number;
  ended: Promise<Ended>;
}

/** Starts a program that has no input; it is ended after a while. */
export function start(words: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  const begun = performance.now();
  const child = spawn(words[0], words.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...ENVIRONMENT, ...env },
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
  });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => (said[stream] += text));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', code =>
      resolve({ code, ...said, said: said.stdout + said.stderr, seconds: (performance.now() - begun) / 1000 }),
    );
  });
  return { pid: child.pid!, ended };
}

/** Runs a program to its end. */
export const run = async (words: readonly string[], env?: NodeJS.ProcessEnv): Promise<Ended> =>
  await start(words, env).ended;

/** Runs a program that must succeed. */
export async function done(words: readonly string[]): Promise<string> {
  const { code, said } = await run(words);
  if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}: ${said}`);
  return said;
}

/** Waits for something that a program under way does. */
export async function until(happened: () => boolean, { ended }: Running): Promise<void> {
  const over = ended.then(({ code, said }) => {
    throw new Error(`ended with ${code} before its time: ${said}`);
  });
  over.catch(() => undefined);
  while (!happened()) await Promise.race([pause(20), over]);
}

const RANK = /^(?:OMPI_COMM_WORLD_RANK|PMI_RANK|RANK)=(\d+)$/m;

/** The process of one of the ranks that a program has started. */
export function processOf(launcher: number, rank: number): number {
  const children = new Map<number, number[]>();
  for (const pid of readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)) {
    const parent = Number(/\) \S (\d+)/.exec(procFile(pid, 'stat'))?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const below = (pid: number): number[] => [pid, ...(children.get(pid) ?? []).flatMap(below)];
  const found = below(launcher).find(
    pid =>
      procFile(pid, 'cmdline').startsWith(`${process.execPath}\0`) &&
      RANK.exec(procFile(pid, 'environ').replaceAll('\0', '\n'))?.[1] === String(rank),
  );
  if (found === undefined) throw new Error(`no process of rank ${rank} below ${launcher}`);
  return found;
}

function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return ''; // It has ended meanwhile.
  }
}

/** Tests that need programs; skipped with a word where one is not installed. */
export function describeWith(programs: readonly string[], name: string, body: () => void): void {
  const missing = programs.filter(program => spawnSync('which', [program]).status !== 0);
  if (missing.length === 0) describe(name, body);
  else describe.skip(`${name} (not installed: ${missing.join(', ')})`, body);
}

import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe } from '@jest/globals';

/** The words that start the product. */
export const MAETOK = [process.execPath, fileURLToPath(new URL('../../bin/maetok.js', import.meta.url))];

/** How a program ended and what it said. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
  seconds: number;
}

/** Programs that start ranks, by the words that come before the program. */
export const LAUNCHERS = {
  'Open MPI': (ranks: number) => ['mpirun.openmpi', '--oversubscribe', '-np', String(ranks)],
  MPICH: (ranks: number) => ['mpiexec.hydra', '-n', String(ranks)],
  torchrun: (ranks: number) => ['torchrun', '--standalone', '--nproc-per-node', String(ranks), '--no-python'],
};

/** Of root, and without a word from TensorFlow. */
const ENVIRONMENT = { OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1', TF_CPP_MIN_LOG_LEVEL: '3' };

/** A program under way. */
export interface Running {
  pid: number;
  ended: Promise<Ended>;
}

/** Starts a program, without an input, and ends it after two minutes. */
export function start(words: string[], env: NodeJS.ProcessEnv = {}): Running {
  const begun = performance.now();
  const child = spawn('timeout', ['-k', '5', '120', ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...ENVIRONMENT, ...env },
  });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => (said[stream] += text));
  const ended = new Promise<Ended>(resolve => {
    child.on('close', code => resolve({ code, ...said, seconds: (performance.now() - begun) / 1000 }));
  });
  return { pid: child.pid!, ended };
}

/** Runs a program to its end. */
export const run = async (words: string[], env?: NodeJS.ProcessEnv): Promise<Ended> => await start(words, env).ended;

/** Tests that need programs; skipped with a word where one is not installed. */
export function describeWith(programs: string[], name: string, body: () => void): void {
  const missing = programs.filter(program => spawnSync('which', [program]).status !== 0);
  if (missing.length === 0) describe(name, body);
  else describe.skip(`${name} (not installed: ${missing.join(', ')})`, body);
}

import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { inPackage } from '../base/index.js';

const BIN = inPackage('bin/maetok.js');

/** The words that start maetok on any host that has the same files. */
export const PROGRAM = [process.execPath, BIN];

export interface ApartOptions {
  /** Once aborted, the command saves its state and ends, as after Ctrl-C. */
  signal: AbortSignal;
  /** Every line of its stderr, as it comes. */
  onLine?: (line: string) => void;
  /** Threads of its numeric engine; default: one per core. */
  threads?: number;
  /** What starts it in several ranks: `mpirun -n 4`. */
  starter?: string;
}

export interface ApartOutcome {
  /** Exit code, or the signal that ended it. */
  code: number | NodeJS.Signals;
  stdout: string;
  /** The line that reports what was wrong; after a crash, its last line. */
  complaint: string;
}

/** Runs a maetok command line in a separate process, or in the ranks of a starter. */
export async function runApart(argv: string[], { signal, onLine, ...how }: ApartOptions): Promise<ApartOutcome> {
  const { child, stop } = how.starter === undefined ? started(argv, how) : startedInRanks(argv, how.starter);
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  let complaint = '';
  const lines = createInterface({ input: child.stderr! }).on('line', line => {
    if (line.startsWith('maetok') || !complaint.startsWith('maetok')) complaint = line;
    onLine?.(line);
  });
  const ended = new Promise<ApartOutcome['code']>((resolve, reject) => {
    child.on('error', reject);
    // Its 'close' event is never emitted once we have closed the channel; the streams' 'close' events are.
    child.on('exit', (code, killedBy) => resolve(code ?? killedBy!));
  });
  try {
    const [stdout, code] = await Promise.all([text(child.stdout!), ended, once(lines, 'close')]);
    return { code, stdout, complaint: complaint.replace(/^maetok: /, '') };
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

interface Started {
  child: ChildProcess;
  /** Has it save its state and end. */
  stop: () => void;
}

function started(argv: string[], { threads }: Pick<ApartOptions, 'threads'>): Started {
  const child = fork(BIN, argv, {
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, ...(threads !== undefined && { TF_NUM_INTRAOP_THREADS: String(threads) }) },
  });
  return {
    child,
    // It stops once this channel closes: when we close it, or when this process is gone, even by `kill -9`. While busy computing
    // with nothing to save, it reacts to signals only.
    stop: () => {
      if (child.connected) child.disconnect();
      child.kill('SIGTERM');
    },
  };
}

function startedInRanks(argv: string[], starter: string): Started {
  // The starter is what a user would type, quotes included, and so is read by a shell. In a group of its own it does not hear the
  // terminal's Ctrl-C, on which it would end its ranks after a second.
  const child = spawn('/bin/sh', ['-c', `exec ${starter} "$@"`, 'sh', ...PROGRAM, ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  // Handed on to the ranks.
  return { child, stop: () => void child.kill('SIGUSR1') };
}

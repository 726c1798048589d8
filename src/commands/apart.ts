import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const LAUNCHER = fileURLToPath(new URL('../../bin/maetok.js', import.meta.url));

export interface ApartOptions {
  /** Once aborted, the command saves its state and ends, as after Ctrl-C. */
  signal: AbortSignal;
  /** Every line of its stderr, as it comes. */
  onLine?: (line: string) => void;
  /** Threads of its numeric engine; default: one per core. */
  threads?: number;
}

export interface ApartOutcome {
  /** Exit code, or the signal that ended it. */
  code: number | NodeJS.Signals;
  stdout: string;
  /** The line that reports what was wrong; after a crash, its last line. */
  complaint: string;
}

/** Runs a maetok command line in a separate process. */
export async function runApart(argv: string[], { signal, onLine, threads }: ApartOptions): Promise<ApartOutcome> {
  const child = fork(LAUNCHER, argv, {
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, ...(threads !== undefined && { TF_NUM_INTRAOP_THREADS: String(threads) }) },
  });
  // It stops once this channel closes: when we close it, or when this process is gone, even by `kill -9`. While busy computing
  // with nothing to save, it reacts to signals only.
  const stop = (): void => {
    if (child.connected) child.disconnect();
    child.kill('SIGTERM');
  };
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

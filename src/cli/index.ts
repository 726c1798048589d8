import { constants } from 'node:os';
import { EXIT, faultOf } from '../base/index.js';
import type { TextSink } from './log.js';
import { leaveRanks, openRanks } from './ranks.js';
import { WARNING } from './requeue.js';
import { describe, runCli } from './run.js';

/** The process side of the command line: signals, streams, the exit code. The only place that ends the process. */
export async function main(argv: string[]): Promise<void> {
  const { signal, heed, heard } = listenToSignals();
  const stdout = guarded(process.stdout);
  const stderr = guarded(process.stderr);
  const communicator = await openRanks({
    env: process.env,
    exit: (code, message) => {
      if (message !== undefined) stderr.write(`maetok: ${message}\n`);
      process.exit(code);
    },
  }).catch((error: unknown) => {
    stderr.write(`${describe(error, false)}\n`);
    process.exit(EXIT.failed);
  });
  const streams = { stdout, stderr, stdin: process.stdin, signal, communicator, heedSignals: heed, heard };
  let code: number = await runCli(argv, streams);
  const fault = await stdout.flushed();
  if (fault !== undefined) {
    stderr.write(`maetok: standard output: ${fault}\n`);
    if (code === EXIT.done) code = EXIT.failed;
  }
  await stderr.flushed();
  await leaveRanks(communicator, OUTCOMES[code] ?? 'failed', code);
  // Native threads and idle worker pools may outlive the work; nothing of ours is pending here.
  const name = heard();
  process.exit(code === EXIT.interrupted && name !== undefined ? exitCodeOf(name) : code);
}

const OUTCOMES: Record<number, 'done' | 'interrupted'> = { [EXIT.done]: 'done', [EXIT.interrupted]: 'interrupted' };

/**
 * A JavaScript handler runs only between tasks, minutes late while a thread computes. So signals keep their
 * default action, which is to end the process at once, until a command that saves its state calls `heed`.
 */
function listenToSignals() {
  const abort = new AbortController();
  let first: NodeJS.Signals | undefined;
  let heeds = false;
  let warned = false;
  const stop = (name: NodeJS.Signals): void => {
    // A second Ctrl-C does not wait for the state to be saved. Launchers send other signals several times.
    if (first !== undefined && name === 'SIGINT') process.exit(exitCodeOf(name));
    first ??= name;
    abort.abort();
  };
  // Without a listener Node starts its debugger for a warning that comes before anything can be saved.
  process.on(WARNING, () => {
    warned = true;
    if (heeds) stop(WARNING);
  });
  // Started by another maetok process: once that one is gone, nobody waits for the result any more.
  process.on('disconnect', () => {
    if (!heeds) process.exit(EXIT.interrupted);
    abort.abort();
  });
  return {
    signal: abort.signal,
    heed: (): void => {
      if (heeds) return;
      heeds = true;
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop);
      if (warned) stop(WARNING);
    },
    heard: () => first,
  };
}

/** 130 for SIGINT, 143 for SIGTERM, 138 for SIGUSR1 (`sbatch --signal=USR1@60`): what a shell reports for a process that the signal ended. */
const exitCodeOf = (name: NodeJS.Signals): number => 128 + constants.signals[name];

interface GuardedSink extends TextSink {
  /** Waits until everything is written; returns the error that prevented it. */
  flushed(): Promise<string | undefined>;
}

/**
 * A stream that may close or fail while the work continues and writes its files. `maetok … | head` closes the pipe
 * early; that is not a failure.
 */
function guarded(stream: NodeJS.WriteStream): GuardedSink {
  let fault: NodeJS.ErrnoException | undefined;
  stream.on('error', (error: NodeJS.ErrnoException) => (fault ??= error));
  const guard: GuardedSink = {
    write: text => (fault === undefined ? stream.write(text) : false),
    // Open MPI gives its ranks a terminal without columns, which passes what is written on.
    isTTY: stream.isTTY && stream.columns > 0,
    flushed: async () => {
      if (fault === undefined) await new Promise<void>(done => stream.write('', () => setImmediate(done)));
      return fault === undefined || fault.code === 'EPIPE' ? undefined : (faultOf(fault) ?? fault.message);
    },
  };
  // A terminal's progress bars ask for more than `write`.
  return Object.setPrototypeOf(guard, stream) as GuardedSink;
}

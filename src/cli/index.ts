import { runCli } from './run.js';

/** The process side of the command line: signals, streams, the exit code. The only place that ends the process. */
export async function main(argv: string[]): Promise<void> {
  const abort = new AbortController();
  process.on('SIGINT', () => {
    // A second Ctrl-C does not wait for the state to be saved.
    if (abort.signal.aborted) process.exit(130);
    abort.abort();
  });
  process.on('SIGTERM', () => abort.abort());
  // Run apart by another maetok: nobody waits for the result any more once that one is gone.
  process.on('disconnect', () => abort.abort());
  // `maetok … | head` closes the pipe early; that is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const code = await runCli(argv, {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    signal: abort.signal,
  });
  await new Promise<void>(flushed => process.stdout.write('', () => flushed()));
  // Native threads and idle worker pools may outlive the work; nothing of ours is pending here.
  process.exit(code);
}

import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

/** Where the process's standard error goes nowhere while `body` runs: libraries write there past Node's streams. */
export function withoutStderr<T>(body: () => T): T {
  if (process.platform === 'win32') return body();
  const libc = koffi.load(null);
  const dup = libc.func('int dup(int fd)') as (fd: number) => number;
  const dup2 = libc.func('int dup2(int from, int to)') as (from: number, to: number) => number;
  const stderr = dup(2);
  const nowhere = openSync('/dev/null', 'w');
  dup2(nowhere, 2);
  try {
    return body();
  } finally {
    dup2(stderr, 2);
    closeSync(nowhere);
    closeSync(stderr);
  }
}

/**
 * Keeps TensorFlow from talking. Its library writes two lines while it is being loaded, whatever the environment says;
 * from then on its logger obeys a severity. Errors still arrive as exceptions.
 */
export function silenceTensorFlow(framework: string, logLevelSymbol: string | undefined): void {
  const FATAL = 3;
  withoutStderr(() => {
    const library = koffi.load(framework);
    if (logLevelSymbol !== undefined) library.func(logLevelSymbol, 'void', ['int'])(FATAL);
  });
}

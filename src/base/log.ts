/** One running piece of work. */
export interface Progress {
  /** `done` units of the total are finished; `note` is a short tail such as a loss. */
  update(done: number, note?: string): void;
  stop(): void;
}

/** Where everything that is not a result goes (stderr). */
export interface Log {
  note(message: string): void;
  warn(message: string): void;
  /** Says which work of an earlier attempt, or of another command, is not done again. */
  reused(message: string): void;
  /** A file or folder that holds a result is complete. The message says more than that it was written. */
  wrote(path: string, message?: string): void;
  /**
   * A phase of the work: a bar where stderr is a terminal, a line at its end elsewhere, and now and then one while it
   * lasts. `total` in `unit`s.
   */
  progress(label: string, total: number, unit?: string): Progress;
}

const nothing = (): void => undefined;

/** For library use and tests. */
export const silentLog: Log = {
  note: nothing,
  warn: nothing,
  reused: nothing,
  wrote: nothing,
  progress: () => ({ update: nothing, stop: nothing }),
};

/** Reports a phase that cannot say how far it is: its beginning, its end and, with it, its speed. */
export async function inPhase<T>(
  log: Log,
  { label, total, unit }: { label: string; total: number; unit: string },
  work: () => Promise<T>,
): Promise<T> {
  const progress = log.progress(label, total, unit);
  try {
    const result = await work();
    progress.update(total);
    return result;
  } finally {
    progress.stop();
  }
}

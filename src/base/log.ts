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
  /** A bar where stderr is a terminal, plain lines every few seconds elsewhere. `total` in `unit`s. */
  progress(label: string, total: number, unit?: string): Progress;
}

const nothing = (): void => undefined;

/** For library use and tests. */
export const silentLog: Log = {
  note: nothing,
  warn: nothing,
  progress: () => ({ update: nothing, stop: nothing }),
};

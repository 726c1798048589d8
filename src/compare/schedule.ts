export interface TaskSchedule<T> {
  /** How many run at once. */
  jobs: number;
  /** Whether `later` can start only when `earlier` has ended. */
  waits: (later: T, earlier: T) => boolean;
  /** Runs one task; if `signal` is aborted, it stops and throws. */
  run: (task: T, signal: AbortSignal) => Promise<void>;
  signal: AbortSignal;
}

/**
 * Runs tasks in order, each once the earlier tasks that it waits for have ended. If one fails, those running
 * are stopped, and its failure is thrown when all have ended. Once `signal` is aborted, no further task is started.
 */
export async function runSchedule<T>(tasks: T[], { jobs, waits, run, signal }: TaskSchedule<T>): Promise<void> {
  const open = new Set(tasks);
  const running = new Map<T, Promise<void>>();
  const failures: unknown[] = [];
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const start = (task: T): void => {
    const ended = run(task, stop)
      .then(() => void open.delete(task))
      .catch((error: unknown) => {
        failures.push(error);
        failed.abort();
      })
      .finally(() => running.delete(task));
    running.set(task, ended);
  };
  while (open.size > 0) {
    if (!stop.aborted) {
      const order = [...open];
      const free = order.filter(
        (task, i) => !running.has(task) && !order.slice(0, i).some(before => waits(task, before)),
      );
      free.slice(0, jobs - running.size).forEach(start);
    }
    if (running.size === 0) break;
    await Promise.race(running.values());
  }
  if (failures.length > 0) throw failures[0];
}

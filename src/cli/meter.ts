/** Where a phase of the work stands. */
export interface Reading {
  /** Units done, of how many. */
  done: number;
  total: number;
  /** Units per second since the first report; undefined before the second. */
  rate: number | undefined;
  /** Seconds left at this rate. */
  eta: number | undefined;
  /** Seconds since the phase began. */
  seconds: number;
  /** Resident memory of the process in bytes. */
  rss: number;
}

/** Measures one phase. What was done before it began, such as the steps of a resumed run, does not count as speed. */
export class Meter {
  private readonly started = performance.now();
  private first: { done: number; at: number } | undefined;
  private done = 0;

  constructor(private readonly total: number) {}

  update(done: number): void {
    this.done = done;
    this.first ??= { done, at: performance.now() };
  }

  read(): Reading {
    const { done, total, first } = this;
    const now = performance.now();
    const moved = first === undefined ? 0 : done - first.done;
    const rate = first !== undefined && moved > 0 ? (1000 * moved) / (now - first.at) : undefined;
    return {
      done,
      total,
      rate,
      eta: rate === undefined ? undefined : Math.max(0, total - done) / rate,
      seconds: (now - this.started) / 1000,
      rss: process.memoryUsage.rss(),
    };
  }
}

/** `12.3/s`, or nothing where no rate is known. */
export function rateOf({ rate }: Reading): string[] {
  return rate === undefined ? [] : [`${rate >= 100 ? rate.toFixed(0) : rate.toPrecision(3)}/s`];
}

/** Seconds as `8 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${seconds < 10 ? seconds.toPrecision(2) : whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Bytes as `1.2 GB`. */
export const memory = (bytes: number): string =>
  bytes < 2 ** 30 ? `${Math.round(bytes / 2 ** 20)} MB` : `${(bytes / 2 ** 30).toFixed(1)} GB`;

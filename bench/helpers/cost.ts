import { readFileSync, writeFileSync } from 'node:fs';

/** What a piece of work cost its process. */
export interface Cost {
  seconds: number;
  /** Seconds of all threads together, which other work on the machine changes less. */
  cpu: number;
  /** Peak of memory meanwhile in MB, the process's libraries included; undefined where the kernel does not tell. */
  peak?: number | undefined;
}

export async function measured<T>(work: () => Promise<T> | T): Promise<[T, Cost]> {
  forgetPeak();
  const [start, before] = [performance.now(), process.cpuUsage()];
  const result = await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  return [result, { seconds, cpu: (user + system) / 1e6, peak: peakMegabytes() }];
}

/** From here the kernel counts the peak of memory anew, where it can. */
function forgetPeak(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Then the peak is that of the whole process, or unknown.
  }
}

function peakMegabytes(): number | undefined {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1.024e-3;
  } catch {
    return undefined;
  }
}

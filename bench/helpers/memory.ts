import { readFileSync, writeFileSync } from 'node:fs';

/** From here the kernel counts the peak of memory anew, where it can. */
export function forgetPeak(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Then the peak is that of the whole process, or unknown.
  }
}

export function peakMegabytes(): number | undefined {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1.024e-3;
  } catch {
    return undefined;
  }
}

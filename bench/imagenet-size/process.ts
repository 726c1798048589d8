import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** An event of `maetok … --json`, as far as it is looked at. */
export interface Event {
  event: string;
  phase?: string;
  state?: 'begun' | 'running' | 'ended';
  done?: number;
}

/** What a process had done when something happened. */
export interface Moment {
  /** Since it was started. */
  seconds: number;
  /** Most memory since the moment before, in MB. */
  peak: number;
  /** Bytes that it has read so far, from disk or from the system's cache. */
  read: number;
}

/** Runs a program and says of each event on its stderr when it came and what the program had used by then. */
export async function watched(
  command: string,
  args: string[],
  heard: (event: Event, moment: Moment) => void,
): Promise<void> {
  const started = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'pipe'] });
  const stop = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  const ended = new Promise<number | null>(resolve => child.once('close', resolve));
  let read = 0;
  for await (const line of createInterface({ input: child.stderr })) {
    const seconds = (performance.now() - started) / 1000;
    const used = usage(child.pid!);
    read = Math.max(read, used.read);
    if (line.startsWith('{')) heard(JSON.parse(line) as Event, { seconds, peak: used.peak, read });
    else process.stderr.write(`${line}\n`);
  }
  const code = await ended;
  if (code !== 0)
    throw new Error(`${args.slice(0, 2).join(' ')} ended with ${code}; the same command goes on from there`);
}

/** Nothing, once the process has ended. From here the peak is counted anew. */
function usage(pid: number): Omit<Moment, 'seconds'> {
  try {
    const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1.024e-3;
    const read = Number(/rchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
    return { peak, read };
  } catch {
    return { peak: 0, read: 0 };
  }
}

import type { Progress } from '../base/index.js';
import { idle, type CliLog, type TextSink } from './log.js';
import { Meter, type Reading } from './meter.js';

/** What `--json` says on stderr, an object a line; docs/command-line.md describes it. What is undefined is left out. */
type Event =
  | { event: 'note' | 'warning' | 'reused' | 'error'; message: string }
  | { event: 'result'; path: string; message: string | undefined }
  | ({ event: 'progress'; state: 'begun' | 'running' | 'ended' } & PhaseReading)
  | { event: 'end'; code: number; seconds: number; warnings: number; results: string[] };

interface PhaseReading extends Reading {
  phase: string;
  unit: string;
  note: string | undefined;
}

const toThousandths = (_: string, value: unknown): unknown =>
  typeof value === 'number' ? Math.round(1000 * value) / 1000 : value;

/** Milliseconds between two events of a phase. */
const BETWEEN_EVENTS = 1000;

/** Events for programs that run maetok; `quiet` leaves out notes and progress. */
export function eventLog(stderr: TextSink, { quiet }: { quiet: boolean }): CliLog {
  const started = performance.now();
  const results: string[] = [];
  let warnings = 0;
  const write = (event: Event): void =>
    void stderr.write(`${JSON.stringify({ time: new Date().toISOString(), ...event }, toThousandths)}\n`);
  return {
    note(message) {
      if (!quiet) write({ event: 'note', message });
    },
    warn(message) {
      warnings++;
      write({ event: 'warning', message });
    },
    reused(message) {
      if (!quiet) write({ event: 'reused', message });
    },
    wrote(path, message) {
      results.push(path);
      write({ event: 'result', path, message });
    },
    progress: (phase, total, unit = '') => (quiet ? idle : phaseEvents(write, { phase, unit, total })),
    error(message) {
      write({ event: 'error', message: message.replace(/^maetok: /, '') });
    },
    end(code) {
      write({ event: 'end', code, seconds: (performance.now() - started) / 1000, warnings, results });
    },
  };
}

function phaseEvents(write: (event: Event) => void, phase: { phase: string; unit: string; total: number }): Progress {
  const meter = new Meter(phase.total);
  let last = performance.now();
  let note: string | undefined;
  const say = (state: 'begun' | 'running' | 'ended'): void =>
    write({ event: 'progress', state, ...phase, ...meter.read(), note });
  say('begun');
  return {
    update(done, tail) {
      meter.update(done);
      note = tail;
      if (performance.now() - last < BETWEEN_EVENTS) return;
      last = performance.now();
      say('running');
    },
    stop: () => say('ended'),
  };
}

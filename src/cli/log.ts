import { Presets, SingleBar } from 'cli-progress';
import pc from 'picocolors';
import type { Log, Progress } from '../base/index.js';
import { duration, memory, Meter, rateOf, type Reading } from './meter.js';

export interface TextSink {
  write(text: string): unknown;
  isTTY?: boolean;
  /** Its width, if it is a terminal. */
  columns?: number;
}

/** What a command says, and how it ended. */
export interface CliLog extends Log {
  /** The line that says why the command failed. */
  error(message: string): void;
  /** The last word, with the exit code. */
  end(code: number): void;
}

/** Notes, warnings and progress on stderr as people read them; `quiet` keeps the warnings only. */
export function makeLog(stderr: TextSink, { quiet }: { quiet: boolean }): CliLog {
  const colour = pc.createColors(stderr.isTTY === true && pc.isColorSupported);
  const note = (message: string): void => {
    if (!quiet) stderr.write(`${message}\n`);
  };
  return {
    note,
    warn: message => void stderr.write(`${colour.yellow('warning:')} ${message}\n`),
    reused: note,
    wrote: (path, message = `wrote ${path}`) => note(message),
    progress: (label, total, units = '') => {
      if (quiet) return idle;
      const unit = total === 1 ? units.replace(/(?<=ss|ch)es$|s$/, '') : units;
      return stderr.isTTY === true ? bar(stderr, label, total, unit) : lines(stderr, label, total, unit);
    },
    error: message => void stderr.write(`${message}\n`),
    end: () => undefined,
  };
}

export const idle: Progress = { update: () => undefined, stop: () => undefined };

function bar(stderr: TextSink, label: string, total: number, unit: string): Progress {
  const shown = new SingleBar(
    {
      format: `${label} {bar} {value}/{total} ${unit} {state} {note}`,
      stream: stderr as NodeJS.WritableStream,
      hideCursor: true,
    },
    Presets.shades_classic,
  );
  const meter = new Meter(total);
  shown.start(total, 0, { state: '', note: '' });
  return {
    update: (done, note = '') => {
      meter.update(done);
      shown.update(done, { state: running(meter.read()), note });
    },
    stop: () => shown.stop(),
  };
}

/** `12.3/s, 3 min 20 s left, 1.2 GB`. */
function running(reading: Reading): string {
  const left = reading.eta === undefined ? [] : [`${duration(reading.eta)} left`];
  return [...rateOf(reading), ...left, memory(reading.rss)].join(', ');
}

/** A shorter phase is not worth a line. */
const WORTH_A_LINE = 1;
const FIRST_LINE = 10;
const LONGEST_SILENCE = 600;

/** Where stderr is not a terminal: a line once a phase is done, and while it lasts one each time its age has doubled. */
function lines(stderr: TextSink, label: string, total: number, unit: string): Progress {
  const meter = new Meter(total);
  const tail = (note: string): string => (note === '' ? '' : `, ${note}`);
  let next = FIRST_LINE;
  let lastNote = '';
  let stopped = false;
  return {
    update: (done, note = '') => {
      meter.update(done);
      lastNote = note;
      const reading = meter.read();
      if (reading.seconds < next) return;
      next = reading.seconds + Math.min(reading.seconds, LONGEST_SILENCE);
      stderr.write(`${label}: ${done}/${total} ${unit}, ${running(reading)}${tail(note)}\n`);
    },
    stop: () => {
      const reading = meter.read();
      if (stopped || reading.seconds < WORTH_A_LINE) return;
      stopped = true;
      const { done, seconds, rss } = reading;
      const much = done < total ? `${done}/${total}` : String(done);
      const speed = [`${much} ${unit} in ${duration(seconds)}`, ...rateOf(reading), memory(rss)].join(', ');
      stderr.write(`${label}: ${speed}${tail(lastNote)}\n`);
    },
  };
}

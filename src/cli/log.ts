import { Presets, SingleBar } from 'cli-progress';
import pc from 'picocolors';
import type { Log, Progress } from '../base/index.js';

export interface TextSink {
  write(text: string): unknown;
  isTTY?: boolean;
  /** Its width, if it is a terminal. */
  columns?: number;
}

/** Notes, warnings and progress on stderr; `quiet` keeps the warnings only. */
export function makeLog(stderr: TextSink, { quiet }: { quiet: boolean }): Log {
  const colour = pc.createColors(stderr.isTTY === true && pc.isColorSupported);
  return {
    note: message => {
      if (!quiet) stderr.write(`${message}\n`);
    },
    warn: message => void stderr.write(`${colour.yellow('warning:')} ${message}\n`),
    progress: (label, total, unit = '') =>
      quiet ? idle : stderr.isTTY === true ? bar(stderr, label, total, unit) : lines(stderr, label, total, unit),
  };
}

const idle: Progress = { update: () => undefined, stop: () => undefined };

function bar(stderr: TextSink, label: string, total: number, unit: string): Progress {
  const shown = new SingleBar(
    {
      format: `${label} {bar} {value}/{total} ${unit} {rate}/s, {eta_formatted} left {note}`,
      stream: stderr as NodeJS.WritableStream,
      hideCursor: true,
      etaBuffer: 50,
    },
    Presets.shades_classic,
  );
  const started = performance.now();
  let first: number | undefined;
  shown.start(total, 0, { rate: '–', note: '' });
  return {
    update: (done, note = '') => {
      first ??= done;
      shown.update(done, { rate: rate(done - first, started), note });
    },
    stop: () => shown.stop(),
  };
}

const SECONDS_BETWEEN_LINES = 5;

/** Where stderr is not a terminal, a plain line every few seconds; a bar would be noise there. */
function lines(stderr: TextSink, label: string, total: number, unit: string): Progress {
  const started = performance.now();
  let last = started;
  let first: number | undefined;
  let newest = 0;
  const write = (note: string): void => {
    const speed = (newest - (first ?? 0)) / ((performance.now() - started) / 1000);
    const left = speed > 0 ? `, ${Math.ceil((total - newest) / speed)} s left` : '';
    stderr.write(
      `${label}: ${newest}/${total} ${unit}, ${rate(newest - (first ?? 0), started)}/s${left}${note && `, ${note}`}\n`,
    );
    last = performance.now();
  };
  return {
    update: (done, note = '') => {
      first ??= done;
      newest = done;
      if (performance.now() - last > SECONDS_BETWEEN_LINES * 1000) write(note);
    },
    stop: () => undefined,
  };
}

function rate(done: number, started: number): string {
  const perSecond = done / ((performance.now() - started) / 1000);
  return perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toPrecision(3);
}

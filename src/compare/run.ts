import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT, UserError, VERSION, type Log } from '../base/index.js';
import { writeFileAtomic } from '../io/index.js';
import type { Step } from './plan.js';

/** Runs one command line within this process. */
export type RunCommand = (argv: string[]) => Promise<void>;

/** What is done of a study: step → its command line and how long it took. */
type StepRecord = Record<string, { argv: string[]; seconds: number; version: string }>;

const RECORD = 'steps.json';

export interface RunStepsOptions {
  out: string;
  run: RunCommand;
  log: Log;
  signal: AbortSignal;
}

/**
 * Runs the steps that are not done, in order. What an earlier attempt finished with the same command line is kept; a
 * step it was in the middle of goes on or begins again.
 */
export async function runSteps(steps: Step[], { out, run, log, signal }: RunStepsOptions): Promise<void> {
  const record = await readRecord(out);
  for (const [i, step] of steps.entries()) {
    const label = `[${i + 1}/${steps.length}] ${step.name}`;
    const known = record[step.name] as StepRecord[string] | undefined;
    if (known && existsSync(step.output)) {
      requireSame(step, known.argv, out);
      log.note(`${label}: done before`);
      continue;
    }
    if (signal.aborted) throw new UserError('interrupted; the same command goes on', EXIT.interrupted);
    log.note(`${label}: maetok ${step.argv.join(' ')}`);
    const started = performance.now();
    await run(withResume(step));
    record[step.name] = {
      argv: step.argv,
      seconds: Math.round((performance.now() - started) / 100) / 10,
      version: VERSION,
    };
    await writeFileAtomic(join(out, RECORD), `${JSON.stringify(record, null, 2)}\n`, { force: true });
  }
}

async function readRecord(out: string): Promise<StepRecord> {
  const path = join(out, RECORD);
  return existsSync(path) ? (JSON.parse(await readFile(path, 'utf8')) as StepRecord) : {};
}

function requireSame({ name, argv }: Step, before: string[], out: string): void {
  if (argv.join('\n') === before.join('\n')) return;
  const changed = argv.filter((word, i) => word !== before[i]);
  throw new UserError(
    `${out}: '${name}' was done with other options before (now: ${changed.join(' ')}); choose another --out, or --force starts the study anew`,
    EXIT.failed,
  );
}

/** A table that is half-way is not there at all; folders are, and are gone on with. */
function withResume({ argv, output, resumable }: Step): string[] {
  return resumable && existsSync(output) ? [...argv, '--resume'] : argv;
}

import { existsSync } from 'node:fs';
import { EXIT, UserError } from '../base/index.js';
import { againWord, reads, type StudyStep } from './plan.js';
import { openRecord, type RecordOptions } from './record.js';
import { runSchedule } from './schedule.js';
import { refuseWhileSubmitted } from './submissions.js';

/** Runs one command line and throws what it throws; if `signal` is aborted, it saves its state and throws. */
export type RunCommand = (argv: string[], label: string, signal: AbortSignal, step: StudyStep) => Promise<void>;

export interface RunOptions extends RecordOptions {
  signal: AbortSignal;
  /** Called after every step with the number of steps that are still to be done. */
  onStep?: ((remaining: number) => Promise<void>) | undefined;
}

export interface RunStepsOptions extends RunOptions {
  run: RunCommand;
  /** How many steps run at once. */
  jobs: number;
}

/**
 * Runs the unfinished steps in order, each once its inputs exist. What an earlier attempt finished with
 * the same command line is kept; a step that was interrupted resumes or starts again.
 */
export async function runSteps(steps: StudyStep[], options: RunStepsOptions): Promise<void> {
  const { out, run, log, signal, jobs, onStep } = options;
  await refuseWhileSubmitted(out);
  const record = await openRecord(steps, options);
  let remaining = record.open.length;
  await runSchedule(record.open, {
    jobs,
    signal,
    waits: reads,
    run: async (step, stop) => {
      const label = record.label(step);
      log.note(`${label}: maetok ${step.argv.join(' ')}`);
      const started = performance.now();
      await run(again(step), label, stop, step);
      await record.done(step, Math.round((performance.now() - started) / 100) / 10);
      await onStep?.(--remaining);
    },
  });
  if (signal.aborted) throw interrupted();
}

/** The error of a study that was stopped: it ends with the exit code of an interruption, and its state is saved. */
export const interrupted = (): UserError => new UserError('interrupted; the same command resumes it', EXIT.interrupted);

/** The arguments of a step that an earlier attempt may have begun. */
const again = (step: StudyStep): string[] => (existsSync(step.output) ? [...step.argv, againWord(step)] : step.argv);

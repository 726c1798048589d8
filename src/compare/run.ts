import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { EXIT, refuseOtherWork, UserError, VERSION, type Log } from '../base/index.js';
import { readJson, writeFileAtomic } from '../io/index.js';
import type { StudyStep } from './plan.js';
import { runSchedule } from './schedule.js';

/** Runs one command line and throws what it throws; if `signal` is aborted, it saves its state and throws. */
export type RunCommand = (argv: string[], label: string, signal: AbortSignal) => Promise<void>;

/** The finished steps of a study: step → its command line and how long it took. */
const stepRecord = z.record(
  z.string(),
  z.object({ argv: z.array(z.string()), seconds: z.number(), version: z.string() }),
);
type StepRecord = z.output<typeof stepRecord>;

const RECORD = 'steps.json';
/** The names of all steps in their order, for those who ask how far a study is. */
const PLAN = 'plan.json';

export interface RunStepsOptions {
  out: string;
  run: RunCommand;
  log: Log;
  signal: AbortSignal;
  /** How many steps run at once. */
  jobs: number;
  /** Makes tables again whose command line has changed, as when a latent space was added; default: refuses. */
  redo?: boolean | undefined;
  /** Called after every step with the number of steps that are still to be done. */
  onStep?: ((remaining: number) => Promise<void>) | undefined;
}

/**
 * Runs the unfinished steps in order, each once its inputs exist. What an earlier attempt finished with
 * the same command line is kept; a step that was interrupted resumes or starts again.
 */
export async function runSteps(steps: StudyStep[], options: RunStepsOptions): Promise<void> {
  const { out, run, log, signal, jobs, redo = false, onStep } = options;
  const record = await readRecord(out, log);
  const labels = new Map(steps.map((step, i) => [step, `[${i + 1}/${steps.length}] ${step.name}`]));
  const open = steps.filter(step => !isDone(step, record, { out, redo }));
  let remaining = open.length;
  for (const step of steps) if (!open.includes(step)) log.reused(`${labels.get(step)!}: already done`);
  // One write after the other: the newest record must be the last.
  let saved = Promise.resolve();
  const save = (): Promise<void> =>
    (saved = saved.then(() =>
      writeFileAtomic(join(out, RECORD), `${JSON.stringify(record, null, 2)}\n`, { force: true }),
    ));
  await writeFileAtomic(join(out, PLAN), `${JSON.stringify(steps.map(({ name }) => name))}\n`, { force: true });
  await save();
  await runSchedule(open, {
    jobs,
    signal,
    waits: reads,
    run: async (step, stop) => {
      const label = labels.get(step)!;
      log.note(`${label}: maetok ${step.argv.join(' ')}`);
      const started = performance.now();
      await run(again(step), label, stop);
      const seconds = Math.round((performance.now() - started) / 100) / 10;
      record[step.name] = { argv: step.argv, seconds, version: VERSION };
      await save();
      await onStep?.(--remaining);
    },
  });
  if (signal.aborted) throw interrupted();
}

/** How many steps of a study are done, of how many, and the name of the next. @throws where its record is damaged. */
export async function studyProgress(folder: string): Promise<{ done: number; total: number | null; next: string }> {
  const record = stepRecord.parse(await readJson(join(folder, RECORD)));
  const path = join(folder, PLAN);
  if (!existsSync(path)) return { done: Object.keys(record).length, total: null, next: '' };
  const names = z.array(z.string()).parse(await readJson(path));
  const open = names.filter(name => !Object.hasOwn(record, name));
  return { done: names.length - open.length, total: names.length, next: open.at(0) ?? '' };
}

/** The error of a study that was stopped: it ends with the exit code of an interruption, and its state is saved. */
export const interrupted = (): UserError => new UserError('interrupted; the same command resumes it', EXIT.interrupted);

/** A step reads the files that its arguments name. */
const reads = ({ argv }: StudyStep, { output }: StudyStep): boolean =>
  argv.some(word => word === output || word.endsWith(`=${output}`));

/** Without a record, trained models and latents are resumed, and tables are made again. */
async function readRecord(out: string, log: Log): Promise<StepRecord> {
  const path = join(out, RECORD);
  if (!existsSync(path)) return {};
  const outcome = stepRecord.safeParse(await readJson(path).catch(() => undefined));
  if (!outcome.success) log.warn(`${path}: is damaged; every step checks for itself what it has already done`);
  return outcome.data ?? {};
}

/** @throws where it was done with another command line, unless it is a table to `redo` */
function isDone(step: StudyStep, record: StepRecord, { out, redo }: { out: string; redo: boolean }): boolean {
  const known = record[step.name] as StepRecord[string] | undefined;
  if (!known || !existsSync(step.output)) return false;
  if (redo && !step.resumable) return isDeepStrictEqual(known.argv, step.argv);
  requireSame(step, known.argv, out);
  return true;
}

function requireSame({ name, argv }: StudyStep, before: string[], out: string): void {
  refuseOtherWork(out, before, argv, {
    say: (_, changed) =>
      `'${name}' was run with other options before (now: ${changed.flatMap(({ now }) => (typeof now === 'string' ? now : [])).join(' ')}); choose another --out, or --force starts the study again`,
    exitCode: EXIT.failed,
  });
}

/**
 * The arguments of a step that an earlier attempt may have begun: a folder is resumed; a table, which exists only
 * when it is complete, was written just before the interruption.
 */
function again({ argv, output, resumable }: StudyStep): string[] {
  return existsSync(output) ? [...argv, resumable ? '--resume' : '--force'] : argv;
}

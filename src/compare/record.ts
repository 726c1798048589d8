import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { EXIT, refuseOtherWork, VERSION, type Log } from '../base/index.js';
import { readJson, writeFileAtomic } from '../io/index.js';
import type { StudyStep } from './plan.js';
import { finishedOnSlurm, forgetSubmissions } from './submissions.js';

/** The finished steps of a study: step → its command line and how long it took. */
const schema = z.record(z.string(), z.object({ argv: z.array(z.string()), seconds: z.number(), version: z.string() }));
type Finished = z.output<typeof schema>;

const RECORD = 'steps.json';
/** The names of all steps in their order, for those who ask how far a study is. */
const PLAN = 'plan.json';

/** A study's steps as far as they have come, kept in its folder. */
export interface StudyRecord {
  /** Those that are still to be done, in their order. */
  open: StudyStep[];
  /** `[2/9] probe mae`, for messages. */
  label: (step: StudyStep) => string;
  /** Records a step that took so many seconds. */
  done: (step: StudyStep, seconds: number) => Promise<void>;
}

export interface RecordOptions {
  out: string;
  log: Log;
  /** Makes tables again whose command line has changed, as when a latent space was added; default: refuses. */
  redo?: boolean | undefined;
}

/**
 * Reads which steps an earlier attempt has finished with the same command line, and says so.
 * @throws UserError where one was run with other options.
 */
export async function openRecord(steps: StudyStep[], { out, log, redo = false }: RecordOptions): Promise<StudyRecord> {
  const finished = await readRecord(out, log);
  const onSlurm = await finishedOnSlurm(out);
  Object.assign(finished, Object.fromEntries(onSlurm));
  const label = (step: StudyStep): string => `[${steps.indexOf(step) + 1}/${steps.length}] ${step.name}`;
  const open = steps.filter(step => !isDone(step, finished, { out, redo }));
  for (const step of steps) if (!open.includes(step)) log.reused(`${label(step)}: already done`);
  // One write after the other: the newest record must be the last.
  let saved = Promise.resolve();
  const save = (): Promise<void> =>
    (saved = saved.then(() =>
      writeFileAtomic(join(out, RECORD), `${JSON.stringify(finished, null, 2)}\n`, { force: true }),
    ));
  await writeFileAtomic(join(out, PLAN), `${JSON.stringify(steps.map(({ name }) => name))}\n`, { force: true });
  await save();
  await forgetSubmissions(
    out,
    onSlurm.map(([name]) => name),
  );
  return {
    open,
    label,
    done: async ({ name, argv }, seconds) => {
      finished[name] = { argv, seconds, version: VERSION };
      await save();
    },
  };
}

/** How many steps of a study are done, of how many, and the name of the next. @throws where its record is damaged. */
export async function studyProgress(folder: string): Promise<{ done: number; total: number | null; next: string }> {
  const record = schema.parse(await readJson(join(folder, RECORD)));
  const finished = { ...record, ...Object.fromEntries(await finishedOnSlurm(folder)) };
  const path = join(folder, PLAN);
  if (!existsSync(path)) return { done: Object.keys(finished).length, total: null, next: '' };
  const names = z.array(z.string()).parse(await readJson(path));
  const open = names.filter(name => !Object.hasOwn(finished, name));
  return { done: names.length - open.length, total: names.length, next: open.at(0) ?? '' };
}

/** Without a record, trained models and latents are resumed, and tables are made again. */
async function readRecord(out: string, log: Log): Promise<Finished> {
  const path = join(out, RECORD);
  if (!existsSync(path)) return {};
  const outcome = schema.safeParse(await readJson(path).catch(() => undefined));
  if (!outcome.success) log.warn(`${path}: is damaged; every step checks for itself what it has already done`);
  return outcome.data ?? {};
}

/** @throws where it was done with another command line, unless it is a table to `redo` */
function isDone(step: StudyStep, finished: Finished, { out, redo }: { out: string; redo: boolean }): boolean {
  const known = finished[step.name] as Finished[string] | undefined;
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

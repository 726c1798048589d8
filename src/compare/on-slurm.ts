import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, UserError, VERSION, type FailureCode } from '../base/index.js';
import { makeFolder, writeFileAtomic } from '../io/index.js';
import { cancelLine, isOver, jobStates, logOf, submit, type JobState } from '../slurm/index.js';
import { dependencyOf, idOf, jobsOf, scriptOf, type ScriptOptions } from './batch.js';
import { refuseStrangers } from './launch.js';
import { commandLine, reads, type StudyStep } from './plan.js';
import { openRecord, type StudyRecord } from './record.js';
import type { RunOptions } from './run.js';
import {
  endOfSubmission,
  fileName,
  forgetSubmissions,
  jobFolder,
  readSubmissions,
  writeSubmissions,
  type Submission,
  type Submissions,
} from './submissions.js';

export type SlurmOptions = RunOptions & ScriptOptions;

/**
 * Submits the unfinished steps to Slurm, each to start once those that it needs have ended well, and waits for all of them. Steps
 * that an earlier call has submitted are waited for, not submitted again; aborting `signal` leaves the jobs to themselves.
 */
export async function runOnSlurm(steps: StudyStep[], options: SlurmOptions): Promise<void> {
  const { out, log, launch } = options;
  refuseStrangers(
    launch,
    steps.map(({ series }) => series),
  );
  const record = await openRecord(steps, options);
  const before = await stillSubmitted(record.open, out);
  for (const [step, { job }] of before) log.reused(`${record.label(step)}: is job ${job} already`);
  const submitted = await submitAll(steps, record, before, options);
  await waitForAll(steps, record, submitted, options);
}

/** The steps whose jobs wait or run. @throws UserError where one was submitted with other options. */
async function stillSubmitted(open: StudyStep[], out: string): Promise<Map<StudyStep, Submission>> {
  const known = await readSubmissions(out);
  const candidates = open.filter(({ name }) => Object.hasOwn(known, name));
  const states = await jobStates(candidates.map(({ name }) => known[name].job));
  const alive = candidates.filter(({ name }) => {
    const state = states.get(known[name].job);
    return state !== undefined && !isOver(state);
  });
  const other = alive.find(({ name, argv }) => commandLine(argv) !== commandLine(known[name].argv));
  if (other !== undefined)
    throw new UserError(
      `${out}: '${other.name}' is on Slurm with other options; \`${cancelLine([known[other.name].job])}\` ends it`,
    );
  return new Map(alive.map(step => [step, known[step.name]]));
}

/** Submits what is open and not yet on Slurm, and notes every job as soon as it has a number. */
async function submitAll(
  steps: StudyStep[],
  { open, label }: StudyRecord,
  before: Map<StudyStep, Submission>,
  options: SlurmOptions,
): Promise<Map<StudyStep, Submission>> {
  const { out, log, signal } = options;
  const submitted = new Map(before);
  await makeFolder(jobFolder(out));
  const jobs = jobsOf(
    steps,
    open.filter(step => !before.has(step)),
  );
  for (const job of jobs) {
    if (signal.aborted) break;
    const script = join(jobFolder(out), `${job.name}.sh`);
    await writeFileAtomic(script, await scriptOf(job, options), { force: true });
    const numbers = new Map([...submitted].map(([step, submission]) => [step, submission.job]));
    const number = await submit(script, dependencyOf(job, steps, numbers)).catch((error: unknown) => {
      const ids = [...numbers.values()];
      if (!(error instanceof UserError) || ids.length === 0) throw error;
      throw new UserError(
        `${error.message}; the steps before ${job.name} stay on Slurm, \`${cancelLine(ids)}\` ends them`,
        error.exitCode,
      );
    });
    job.steps.forEach((step, i) =>
      submitted.set(step, { job: idOf(number, job, i), argv: step.argv, version: VERSION }),
    );
    await writeSubmissions(out, named(submitted));
    for (const step of job.steps)
      log.note(`${label(step)}: job ${submitted.get(step)!.job}, ${commandLine(step.argv)}`);
  }
  return submitted;
}

const named = (submitted: Map<StudyStep, Submission>): Submissions =>
  Object.fromEntries([...submitted].map(([{ name }, submission]) => [name, submission]));

interface Failure {
  message: string;
  exitCode: FailureCode;
}

/** Reports how the jobs stand until all have ended. @throws UserError for those that failed, and once `signal` is aborted. */
async function waitForAll(
  steps: StudyStep[],
  record: StudyRecord,
  submitted: Map<StudyStep, Submission>,
  { out, log, signal, onStep }: SlurmOptions,
): Promise<void> {
  const { label } = record;
  // In the order of the plan, so that a step that fails is told before those that it takes along.
  const waiting = new Map(steps.filter(step => submitted.has(step)).map(step => [step, submitted.get(step)!]));
  const failures: Failure[] = [];
  const told = new Map<StudyStep, string>();
  const pause = pauses();
  /** Forgets the steps that wait for one that failed: Slurm cancels their jobs. */
  const drop = (step: StudyStep): void => {
    waiting.delete(step);
    for (const other of waiting.keys()) if (reads(other, step)) drop(other);
  };
  const watch = watcher(out);
  while (waiting.size > 0) {
    if (signal.aborted) throw left([...waiting.values()], out);
    for (const [step, news] of await watch(waiting, warning => log.warn(warning))) {
      // One before it in this round may have taken it along.
      if (!waiting.has(step)) continue;
      if (news.kind === 'done') {
        waiting.delete(step);
        await record.done(step, news.seconds);
        await forgetSubmissions(out, [step.name]);
        log.note(`${label(step)}: done after ${news.seconds} s`);
        await onStep?.(waiting.size + failures.length);
        pause.begin();
      } else if (news.kind === 'failed') {
        drop(step);
        const failure = await failureOf(step, news, label(step), out);
        failures.push(failure);
        if (waiting.size > 0) log.warn(`${failure.message}; ${waiting.size} other steps go on`);
        pause.begin();
      } else if (told.get(step) !== news.state.state) {
        if (news.state.state === 'RUNNING') log.note(`${label(step)}: runs on ${news.state.nodes}`);
        else if (told.get(step) === 'RUNNING' && news.state.state === 'PENDING')
          log.note(`${label(step)}: was stopped and waits to be started again (${news.state.reason})`);
        told.set(step, news.state.state);
      }
    }
    if (waiting.size > 0) await pause.rest(signal);
  }
  const [first] = failures;
  if (failures.length === 0) return;
  const others = failures.length === 1 ? '' : `; ${failures.length - 1} more of ${steps.length} steps failed`;
  throw new UserError(`${first.message}${others}`, first.exitCode);
}

type News =
  | { kind: 'done'; seconds: number }
  | { kind: 'waiting'; state: JobState }
  /** `code` where the step's own script has recorded it, `state` where Slurm still knows the job. */
  | { kind: 'failed'; job: string; code?: number | undefined; state?: JobState | undefined };

/** Milliseconds that a job's record may take to reach this host once the job is gone, or has ended well. */
const PATIENCE = 15_000;

/** Asks the jobs' records and Slurm for news of them. */
function watcher(out: string) {
  const gone = new Map<StudyStep, number>();
  let isSilent = false;
  return async (waiting: Map<StudyStep, Submission>, warn: (message: string) => void): Promise<[StudyStep, News][]> => {
    const states = await jobStates([...waiting.values()].map(({ job }) => job)).catch((error: unknown) => {
      // It may be restarted; what the jobs record is there all the same.
      if (!isSilent) warn(`${(error as Error).message}; asking on`);
      return undefined;
    });
    isSilent = states === undefined;
    const news: [StudyStep, News][] = [];
    for (const [step, submission] of waiting) {
      const state = states?.get(submission.job);
      const end = await endOfSubmission(out, step.name, submission);
      if (end?.code === 0) news.push([step, { kind: 'done', seconds: end.seconds }]);
      else if (state !== undefined && !isOver(state)) news.push([step, { kind: 'waiting', state }]);
      else if (states !== undefined) {
        const { job } = submission;
        gone.set(step, gone.get(step) ?? performance.now());
        const comesLate = end === undefined && (state === undefined || state.state === 'COMPLETED');
        if (!comesLate || performance.now() - gone.get(step)! > PATIENCE)
          news.push([step, { kind: 'failed', job, code: end?.code, state }]);
      }
    }
    return news;
  };
}

/** Milliseconds between two questions to Slurm: seldom while nothing happens, its controller serves many. */
const PAUSES = { least: 500, growth: 1.5, most: 30_000 };

function pauses() {
  let next = PAUSES.least;
  return {
    begin: (): void => {
      next = PAUSES.least;
    },
    rest: async (signal: AbortSignal): Promise<void> => {
      await sleep(next, undefined, { signal }).catch(() => undefined);
      next = Math.min(PAUSES.most, next * PAUSES.growth);
    },
  };
}

/** Why a step failed, from what is known of its job. */
async function failureOf(
  { name }: StudyStep,
  { job, code, state }: { job: string; code?: number | undefined; state?: JobState | undefined },
  label: string,
  out: string,
): Promise<Failure> {
  const log = logOf(jobFolder(out), fileName(name));
  const said = (await readFile(log, 'utf8').catch(() => '')).trimEnd().split('\n');
  const complaint = said.findLast(line => line.startsWith('maetok: '))?.replace(/^maetok: /, '') ?? said.at(-1);
  const why =
    ENDINGS[state?.state ?? ''] ??
    (code === undefined
      ? `ended without a record of it; ${join(jobFolder(out), 'slurm.log')} may say why, also whether its node sees ${out}`
      : complaint || `ended with code ${code}`);
  return {
    message: `${label}: ${why} (job ${job}, ${log})`,
    exitCode: code === EXIT.usage ? EXIT.usage : EXIT.failed,
  };
}

/** What Slurm's own word for an end means here. */
const ENDINGS: Record<string, string> = {
  CANCELLED: 'was cancelled; the same command submits it again',
  TIMEOUT: 'ran into its time limit (`time` of the study’s launch section); the same command continues it',
  OUT_OF_MEMORY: 'needed more memory than it had asked for (`memory` of the study’s launch section)',
  NODE_FAIL: 'was on a node that failed; the same command submits it again',
  PREEMPTED: 'had to make way for another job; the same command submits it again',
};

function left(waiting: Submission[], out: string): UserError {
  const ids = waiting.map(({ job }) => job);
  return new UserError(
    `${out}: ${ids.length === 1 ? 'a step stays' : `${ids.length} steps stay`} on Slurm; the same command waits for them, \`${cancelLine(ids)}\` ends them`,
    EXIT.interrupted,
  );
}

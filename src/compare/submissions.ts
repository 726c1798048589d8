import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, UserError } from '../base/index.js';
import { readJson, writeFileAtomic } from '../io/index.js';
import { cancelLine, endOf, isOver, jobStates, slurmVersion, type TaskEnd } from '../slurm/index.js';

/** What was submitted to Slurm and is not yet in the record of finished steps: step → its job, or its task of an array. */
const schema = z.record(z.string(), z.object({ job: z.string(), argv: z.array(z.string()), version: z.string() }));
export type Submissions = z.output<typeof schema>;
export type Submission = Submissions[string];

/** Where a study keeps scripts, logs and ends of its jobs. */
export const jobFolder = (out: string): string => join(out, 'slurm');

const pathOf = (out: string): string => join(jobFolder(out), 'jobs.json');

/** A step's name as part of a file's: `extract mae (test)` → `extract-mae+test`. */
export const fileName = (step: string): string =>
  step.replaceAll(/ ?\(/g, '+').replaceAll(')', '').replaceAll(/[, ]+/g, '-');

export async function readSubmissions(out: string): Promise<Submissions> {
  const path = pathOf(out);
  if (!existsSync(path)) return {};
  try {
    return schema.parse(await readJson(path));
  } catch (error) {
    throw new UserError(
      `${path}: is damaged (${messageOf(error).split('\n')[0]}); once no job of the study is left (\`squeue --me\`), delete it`,
    );
  }
}

export async function writeSubmissions(out: string, submissions: Submissions): Promise<void> {
  await writeFileAtomic(pathOf(out), `${JSON.stringify(submissions, null, 2)}\n`, { force: true });
}

/** Once a step is in the record of finished steps, its job is no longer asked for. */
export async function forgetSubmissions(out: string, steps: string[]): Promise<void> {
  if (steps.length === 0) return;
  const left = Object.entries(await readSubmissions(out)).filter(([step]) => !steps.includes(step));
  await writeSubmissions(out, Object.fromEntries(left));
}

/** How a submitted step ended, by its own record; undefined where it has not. */
export async function endOfSubmission(out: string, step: string, { job }: Submission): Promise<TaskEnd | undefined> {
  const end = await endOf(jobFolder(out), fileName(step));
  // A record of an earlier job of the step says nothing of this one.
  return end?.job === job.split('_')[0] ? end : undefined;
}

/** The steps that have ended well since they were submitted, as the record of finished steps has them. */
export async function finishedOnSlurm(
  out: string,
): Promise<[string, { argv: string[]; seconds: number; version: string }][]> {
  const found = await Promise.all(
    Object.entries(await readSubmissions(out)).map(async ([step, submission]) => {
      const end = await endOfSubmission(out, step, submission);
      const { argv, version } = submission;
      return end?.code === 0 ? [[step, { argv, seconds: end.seconds, version }] as const] : [];
    }),
  );
  return found.flat().map(([step, done]) => [step, done]);
}

/**
 * Keeps what jobs on Slurm are working on from being done, or deleted, by others.
 * @throws UserError where some of the study's jobs wait or run.
 */
export async function refuseWhileSubmitted(out: string): Promise<void> {
  const jobs = Object.values(await readSubmissions(out)).map(({ job }) => job);
  if (jobs.length === 0 || (await slurmVersion()) === undefined) return;
  const states = await jobStates(jobs);
  const alive = jobs.filter(job => states.has(job) && !isOver(states.get(job)!));
  if (alive.length > 0)
    throw new UserError(
      `${out}: ${alive.length === 1 ? 'a step of it is' : `${alive.length} steps of it are`} on Slurm; --launch slurm waits for them, \`${cancelLine(alive)}\` ends them`,
    );
}

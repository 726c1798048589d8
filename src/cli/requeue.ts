import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { EXIT, messageOf, UserError, type Log } from '../base/index.js';
import { UsageError } from './usage-error.js';

type Environment = Record<string, string | undefined>;

/** Slurm's warning ahead of a time limit or a preemption: `sbatch --signal=USR1@60`. A cancelled job gets SIGTERM only. */
export const WARNING = 'SIGUSR1';

/** The options given; in a job that Slurm has started again for `--requeue`, `--resume` is one of them. */
export const withRestart = (given: Record<string, unknown>, resumes: boolean, env: Environment) =>
  given.requeue === true && resumes && Number(env.SLURM_RESTART_COUNT ?? 0) > 0 ? { ...given, resume: true } : given;

/** @throws UsageError for `--requeue` outside Slurm. */
export function requireJob({ requeue }: Record<string, unknown>, env: Environment): void {
  if (requeue === true && env.SLURM_JOB_ID === undefined)
    throw new UsageError('--requeue is for jobs of Slurm, and this is none');
}

/** Asks Slurm to run this job again; its state is saved. */
export async function requeueJob(env: Environment, log: Log): Promise<void> {
  const job = env.SLURM_JOB_ID!;
  log.note(`job ${job} is near its end and saved; Slurm is asked to run it again`);
  try {
    await promisify(execFile)('scontrol', ['requeue', job]);
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim().split('\n')[0];
    throw new UserError(
      `scontrol requeue ${job}: ${said ?? messageOf(error)}; submit it again by hand`,
      EXIT.interrupted,
    );
  }
}

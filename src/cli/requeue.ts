import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { EXIT, messageOf, UserError, type Log } from '../base/index.js';

type Environment = Record<string, string | undefined>;

/** Slurm's warning ahead of a time limit or a preemption: `sbatch --signal=USR1@60`. A cancelled job gets SIGTERM only. */
export const WARNING = 'SIGUSR1';

/**
 * `--requeue` of options, checked; in a job that Slurm has started again, `--resume` is implied. @throws UserError outside
 * Slurm.
 */
export function withRestart(given: Record<string, unknown>, resumes: boolean, env: Environment) {
  if (given.requeue !== true) return given;
  if (env.SLURM_JOB_ID === undefined) throw new UserError('--requeue is for jobs of Slurm, and this is none');
  return resumes && Number(env.SLURM_RESTART_COUNT ?? 0) > 0 ? { ...given, resume: true } : given;
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

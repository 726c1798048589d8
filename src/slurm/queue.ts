import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { EXIT, UserError } from '../base/index.js';

/** What Slurm says of a job or of a task of an array. */
export interface JobState {
  /** `PENDING`, `RUNNING`, `COMPLETED`, `TIMEOUT`, … as `squeue` writes it. */
  state: string;
  /** Why it waits or has ended. */
  reason: string;
  nodes: string;
}

/** Base states of jobs that have ended for good, by the manual of `squeue`; a requeued job is pending again. */
const OVER = new Set([
  'BOOT_FAIL',
  'CANCELLED',
  'COMPLETED',
  'DEADLINE',
  'FAILED',
  'NODE_FAIL',
  'OUT_OF_MEMORY',
  'PREEMPTED',
  'REVOKED',
  'TIMEOUT',
]);

export const isOver = ({ state }: JobState): boolean => OVER.has(state);

/** How a user ends these jobs. */
export const cancelLine = (ids: string[]): string => `scancel ${[...new Set(ids.map(jobOf))].join(' ')}`;

/** The job that `12_3`, a task of an array, belongs to. */
const jobOf = (id: string): string => id.split('_')[0];

/**
 * Submits a batch script and returns the job's number.
 * @throws UserError with what Slurm says of it.
 */
export async function submit(script: string, dependency?: string): Promise<string> {
  const stdout = await slurm('sbatch', [
    '--parsable',
    ...(dependency === undefined ? [] : [`--dependency=${dependency}`]),
    script,
  ]);
  // With several clusters, `number;cluster`.
  return stdout.trim().split(';')[0];
}

/**
 * The states of jobs and tasks that Slurm still knows: all that wait and run, and for some minutes (`MinJobAge`) those that have
 * ended.
 * @throws UserError where its controller does not answer.
 */
export async function jobStates(ids: string[]): Promise<Map<string, JobState>> {
  const jobs = [...new Set(ids.map(jobOf))];
  if (jobs.length === 0) return new Map();
  const known = await slurm('squeue', [
    '--noheader',
    '--array',
    '--states=all',
    '--format=%i|%T|%r|%N',
    `--jobs=${jobs.join(',')}`,
  ]).catch((error: unknown) => {
    // Said of a single job only; of several, those that are known are listed.
    if (error instanceof UserError && error.message.includes('Invalid job id')) return '';
    throw error;
  });
  return new Map(
    known
      .split('\n')
      .filter(line => line !== '')
      .map(line => {
        const [id, state, reason, nodes] = line.split('|');
        return [id, { state, reason, nodes }];
      }),
  );
}

/** The version of Slurm whose commands are installed here; undefined where there are none. */
export async function slurmVersion(): Promise<string | undefined> {
  const stdout = await slurm('sbatch', ['--version']).catch(() => undefined);
  return stdout?.trim().replace(/^slurm(-wlm)? /, '');
}

/** Runs one of Slurm's commands. @throws UserError with what it complains of. */
async function slurm(command: string, argv: string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, argv, { env: outsideOfJobs(process.env) });
    return stdout;
  } catch (error) {
    const { code, stderr = '', message } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === 'ENOENT')
      throw new UserError(`${command}: not found; Slurm's commands are installed on its login nodes`);
    const lines = stderr.split('\n').flatMap(line => /^\w+: (?:error|fatal): (.*)/.exec(line)?.slice(1) ?? []);
    throw new UserError(`${command}: ${lines.at(-1) ?? message}`, EXIT.failed);
  }
}

/** A job submitted from within another would inherit that one's number of tasks, CPUs and nodes. */
const outsideOfJobs = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('SLURM_') || name === 'SLURM_CONF'));

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** How a task ended, as its own script has recorded: Slurm may keep no accounts, and forgets jobs after minutes. */
export interface TaskEnd {
  /** The job's number as the script knew it: a task of an array has one of its own too, which is not this. */
  job: string;
  code: number;
  seconds: number;
}

/** What a task writes, stderr included. */
export const logOf = (folder: string, task: string): string => join(folder, `${task}.log`);

const endedPath = (folder: string, task: string): string => join(folder, `${task}.ended`);

/** How a task that was started by a batch script into `folder` ended; undefined where it has not. */
export async function endOf(folder: string, task: string): Promise<TaskEnd | undefined> {
  const line = await readFile(endedPath(folder, task), 'utf8').catch(() => '');
  const [, job, code, seconds] = /^(\d+) (\d+) (\d+)$/m.exec(line) ?? [];
  return line === '' ? undefined : { job, code: Number(code), seconds: Number(seconds) };
}

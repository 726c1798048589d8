import { join, resolve } from 'node:path';
import { quoted } from '../base/index.js';

/** What a job asks for; what is absent is as the cluster has it. */
export interface Resources {
  partition?: string | undefined;
  account?: string | undefined;
  /** Minutes, or as in `--time`: `8:00:00`. */
  time?: string | number | undefined;
  nodes?: number | undefined;
  /** Processes that share the work, over all nodes. */
  ranks: number;
  /** Cores of each process. */
  cpus?: number | undefined;
  /** Of each node: `32G`. */
  memory?: string | undefined;
  /** Of each node: a number, or `a100:2`. */
  gpus?: string | number | undefined;
  /** Further options of `sbatch`, as one types them. */
  args?: string | undefined;
}

export interface BatchTask {
  /** Names its log and the record of its end: a word that is safe in a file name. */
  name: string;
  /** The words of its command. */
  command: string[];
  /** What it makes. */
  output: string;
  /** The word that continues, or replaces, what an earlier attempt has made. */
  again: string;
  /** Of an array: its number in it. */
  index: number | undefined;
}

export interface BatchJob {
  name: string;
  /** One, or those of an array. */
  tasks: BatchTask[];
  resources: Resources;
  /** Whether a task that is told to stop saves what it has, and goes on from there. */
  resumable: boolean;
  /** Whether Slurm may start the job again: after a preemption, a node's failure and, where resumable, at the time limit. */
  requeue: boolean;
  /** Starts several ranks; `-n` and their number follow. */
  launcher: string;
  /** Lines of the shell before each task, such as `module load openmpi`. */
  setup: string;
  /** Where logs and records go; all nodes see it. */
  folder: string;
  /** In which the commands run. */
  workingFolder: string;
}

/** Seconds before the time limit at which a task is told to save. */
const TO_SAVE = 60;

/**
 * The batch script of a job. It starts the task, passes signals on, appends what the task says to its log, and records its
 * exit code at the end.
 */
export function batchScript(job: BatchJob): string {
  const { tasks, setup, folder, workingFolder } = job;
  return `#!/bin/bash
${directives(job)
  .map(line => `#SBATCH ${line}\n`)
  .join('')}
cd ${quoted(workingFolder)} || exit 1
${chosenTask(tasks)}
ended=${quoted(resolve(folder))}/$task.ended
exec >>${quoted(resolve(folder))}/"$task.log" 2>&1
rm -f "$ended"
# What an earlier attempt has made is there.
if [ -e "$output" ]; then set -- "$@" ${tasks[0].again}; fi
${setup === '' ? '' : `${setup.trim()}\n`}export SRUN_CPUS_PER_TASK=\${SLURM_CPUS_PER_TASK:-1}
export TF_NUM_INTRAOP_THREADS=${isRanked(job) ? '$SRUN_CPUS_PER_TASK' : '${SLURM_CPUS_ON_NODE:-1}'}
${started(job)}
echo "\${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID} $code $SECONDS" >"$ended.part" && mv "$ended.part" "$ended"
exit "$code"
`;
}

function directives({ name, tasks, resources, resumable, requeue, folder }: BatchJob): string[] {
  const { partition, account, time, nodes, ranks, cpus, memory, gpus, args } = resources;
  const asked = { partition, account, time, nodes, ntasks: ranks, 'cpus-per-task': cpus, mem: memory };
  return [
    `--job-name=${quoted(name)}`,
    // What Slurm itself says; the tasks have their own logs. A percent sign would be a pattern.
    `--output=${quoted(join(resolve(folder), 'slurm.log').replaceAll('%', '%%'))} --open-mode=append`,
    ...(tasks[0].index === undefined ? [] : [`--array=${tasks.map(({ index }) => index).join(',')}`]),
    '--kill-on-invalid-dep=yes',
    requeue ? '--requeue' : '--no-requeue',
    ...(resumable ? [`--signal=B:USR1@${TO_SAVE}`] : []),
    ...Object.entries(asked).flatMap(([option, value]) => (value === undefined ? [] : [`--${option}=${value}`])),
    ...(gpus === undefined ? [] : [`--gres=gpu:${gpus}`]),
    // Slurm heeds the last of two.
    ...(args === undefined || args.trim() === '' ? [] : [args.trim().replaceAll(/\s*\n\s*/g, ' ')]),
  ];
}

/** Sets `task`, `output` and the words of the command. */
function chosenTask(tasks: BatchTask[]): string {
  const settings = ({ name, output, command }: BatchTask): string =>
    `task=${name} output=${quoted(output)}; set -- ${command.map(quoted).join(' ')}`;
  if (tasks[0].index === undefined) return settings(tasks[0]);
  return ['case $SLURM_ARRAY_TASK_ID in', ...tasks.map(task => `${task.index}) ${settings(task)} ;;`), 'esac'].join(
    '\n',
  );
}

const isRanked = ({ resources }: BatchJob): boolean => resources.ranks > 1;

/**
 * Runs the command beside the shell, which runs a trap only while it waits. On scancel, preemption and at the time limit Slurm
 * sends SIGTERM to the command as well, and the shell waits for it to save. The warning before the time limit is for the shell alone,
 * which hands it on and, where the work can go on, has the job started again.
 */
function started({ resources, launcher, resumable, requeue }: BatchJob): string {
  const { ranks } = resources;
  const ranked = ranks > 1;
  const lines = [
    `${ranked ? `${launcher} -n ${ranks} ` : ''}"$@" &`,
    'work=$!',
    // A launcher ends its ranks on SIGTERM, and hands SIGUSR1 on to them.
    ...(resumable ? [`trap 'again=1 limit=1; kill -${ranked ? 'USR1' : 'TERM'} $work' USR1`] : []),
    'trap again=1 TERM',
    'again=1',
    'while [ -n "$again" ]; do again=; wait $work; code=$?; done',
    ...(resumable && requeue
      ? ['if [ -n "$limit" ] && [ $code -ne 0 ] && scontrol requeue "$SLURM_JOB_ID"; then exit "$code"; fi']
      : []),
  ];
  return lines.join('\n');
}

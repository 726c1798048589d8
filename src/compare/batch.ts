import { quoted } from '../base/index.js';
import { batchScript, type BatchJob } from '../slurm/index.js';
import { resourcesOf, type Launch, type LaunchOverrides } from './launch.js';
import { againWord, reads, type StudyStep } from './plan.js';
import { fileName, jobFolder } from './submissions.js';

/** One job, or an array of a series: steps that differ only in their seed. */
export interface StepJob {
  /** A word that is safe in a file name. */
  name: string;
  steps: StudyStep[];
  /** Of the array, the number of each step; absent for a job of one step. */
  indices: number[] | undefined;
}

/** The jobs of the `open` steps among those of a plan, in an order in which they can be submitted. */
export function jobsOf(plan: StudyStep[], open: StudyStep[]): StepJob[] {
  const series = [...new Set(open.map(step => step.series))];
  return series.map(name => {
    // Numbered by the whole series, so that a seed has the same number in all jobs of a study.
    const all = plan.filter(step => step.series === name);
    const steps = all.filter(step => open.includes(step));
    return {
      name: fileName(name),
      steps,
      indices: all.length === 1 ? undefined : steps.map(step => all.indexOf(step)),
    };
  });
}

/** The number under which Slurm knows a step of a job. */
export const idOf = (job: string, { indices }: StepJob, position: number): string =>
  indices === undefined ? job : `${job}_${indices[position]}`;

/**
 * What Slurm is told of the jobs that one waits for: `submitted` says by which number each step that is not done was submitted.
 * Where every step of an array reads from the step of the same number in another, one seed need not wait for the others.
 */
export function dependencyOf(job: StepJob, plan: StudyStep[], submitted: Map<StudyStep, string>): string | undefined {
  const needs = job.steps.map(step =>
    plan.filter(other => submitted.has(other) && reads(step, other)).map(other => submitted.get(other)!),
  );
  const ids = [...new Set(needs.flat())];
  const arrays = [...new Set(ids.map(id => id.split('_')[0]))].map(array => {
    const tasks = ids.filter(id => id.split('_')[0] === array);
    const alike = needs.every((own, i) => {
      const those = own.filter(id => tasks.includes(id));
      return those.length === 1 && those[0] === `${array}_${job.indices?.[i]}`;
    });
    return alike ? `aftercorr:${array}` : `afterok:${tasks.join(':')}`;
  });
  return arrays.length === 0 ? undefined : arrays.join(',');
}

export interface RankOptions {
  launch: Launch;
  overrides: LaunchOverrides;
  /** Whether several ranks can share the work of a command line. */
  takesRanks: (argv: string[]) => Promise<boolean>;
}

/** How many processes share the work of a step: as many as are asked for where the command can use them. */
export async function ranksOf(step: StudyStep, { launch, overrides, takesRanks }: RankOptions): Promise<number> {
  const { ranks = 1 } = resourcesOf(launch, overrides, step);
  return ranks > 1 && (await takesRanks(step.argv)) ? ranks : 1;
}

export interface ScriptOptions extends RankOptions {
  out: string;
  /** The study's name. */
  study: string;
  /** The words that start maetok. */
  program: string[];
  /** Words for every step, and none that it has itself. */
  complete: (argv: string[]) => string[];
}

/** The batch script of a job. All its steps ask for the same: those of a series differ in their seed alone. */
export async function scriptOf({ name, steps, indices }: StepJob, options: ScriptOptions): Promise<string> {
  const { out, study, launch, overrides, program, complete } = options;
  const [first] = steps;
  const { 'slurm-args': args, nodes, ...asked } = resourcesOf(launch, overrides, first);
  const ranks = await ranksOf(first, options);
  const job: BatchJob = {
    name: `${study}:${name}`,
    tasks: steps.map((step, i) => ({
      name: fileName(step.name),
      command: [...program, ...complete(step.argv)],
      output: step.output,
      again: againWord(step),
      index: indices?.[i],
    })),
    // One process is on one node.
    resources: { ...asked, ranks, nodes: ranks > 1 ? nodes : 1, args },
    resumable: first.resumable,
    requeue: launch.requeue ?? true,
    launcher: overrides.mpirun ?? launch.mpirun ?? 'srun',
    setup: launch.setup ?? '',
    folder: jobFolder(out),
    workingFolder: process.cwd(),
  };
  return batchScript(job);
}

/**
 * All jobs of a study as a script of the shell that submits them: what a launch on Slurm does, to be read or run by hand.
 */
export async function scriptsOf(plan: StudyStep[], options: ScriptOptions): Promise<string> {
  const submitted = new Map<StudyStep, string>();
  const lines = [`mkdir -p ${quoted(jobFolder(options.out))}`];
  for (const [position, job] of jobsOf(plan, plan).entries()) {
    const number = `job${position + 1}`;
    const dependency = dependencyOf(job, plan, submitted);
    job.steps.forEach((step, i) => submitted.set(step, idOf(`\${${number}}`, job, i)));
    const waits = dependency === undefined ? '' : ` --dependency=${dependency}`;
    const script = await scriptOf(job, options);
    lines.push(`# ${job.name}`, `${number}=$(sbatch --parsable${waits} <<'END'\n${script}END\n)`);
  }
  return `${lines.join('\n')}\n`;
}

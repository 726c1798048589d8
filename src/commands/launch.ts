import type { z } from 'zod';
import { availableCores, EXIT, UserError, type Log } from '../base/index.js';
import type { Plan, RunCommand, ScriptOptions, Study, StudyStep } from '../compare/index.js';
import { PROGRAM, runApart, type ApartOutcome } from './apart.js';
import type { Context } from './command.js';
import type { studyOptions } from './compare-options.js';

type Chosen = z.output<typeof studyOptions>;

export interface LaunchOrder {
  study: Study;
  plan: Plan;
  out: string;
  /** Makes tables again whose command line has changed. */
  redo: boolean;
  onStep: ((remaining: number) => Promise<void>) | undefined;
}

/** Runs the unfinished steps of a study where `--launch` says. */
export async function launchSteps(
  { study, plan, ...rest }: LaunchOrder,
  chosen: Chosen,
  context: Context,
): Promise<void> {
  const { runOnSlurm, runSteps } = await import('../compare/index.js');
  const { log, signal } = context;
  const { jobs = 1, launch } = chosen;
  const options = { ...rest, log, signal };
  if (launch === 'slurm')
    await runOnSlurm(plan.steps, { ...options, ...scriptOptions(study, rest.out, chosen, context) });
  else await runSteps(plan.steps, { ...options, jobs, run: await runner(study, jobs, chosen, context) });
}

/** What `--dry-run` prints: command lines, or what is handed to Slurm. */
export async function shownSteps(
  { study, plan, out }: Pick<LaunchOrder, 'study' | 'plan' | 'out'>,
  chosen: Chosen,
  context: Context,
): Promise<string> {
  const { commandLine, scriptsOf } = await import('../compare/index.js');
  if (chosen.launch === 'slurm') return await scriptsOf(plan.steps, scriptOptions(study, out, chosen, context));
  const starts = chosen.launch === 'mpi' ? await rankStarter(study, chosen, context) : undefined;
  const lines = await Promise.all(
    plan.steps.map(async step => {
      const start = await starts?.(step);
      return `${start === undefined ? '' : `${start} `}${commandLine(step.argv)}\n`;
    }),
  );
  return lines.join('');
}

function scriptOptions(study: Study, out: string, chosen: Chosen, context: Context): ScriptOptions {
  const shared = sharedWords(chosen, chosen.engine);
  return {
    out,
    study: study.name,
    launch: study.launch ?? {},
    overrides: chosen,
    takesRanks: context.takesRanks,
    program: PROGRAM,
    complete: argv => withShared(argv, shared),
  };
}

/** Runs steps in this process, whose engine is already running, or several at once or in ranks, in processes of their own. */
async function runner(study: Study, jobs: number, chosen: Chosen, context: Context): Promise<RunCommand> {
  const { interrupted } = await import('../compare/index.js');
  const starterOf = chosen.launch === 'mpi' ? await rankStarter(study, chosen, context) : undefined;
  const shared = sharedWords(chosen, jobs === 1 ? chosen.engine : await engineOfAll(chosen));
  const threads = Math.max(1, Math.floor(availableCores() / jobs));
  return async (argv, label, signal, step) => {
    const words = withShared(argv, shared);
    const starter = await starterOf?.(step);
    // What a step would print is in its tables; stdout is for the summary.
    if (starter === undefined && jobs === 1) {
      await context.run(words, { stdout: { write: () => true } });
      return;
    }
    const onLine = (line: string): void => tell(context.log, label, line);
    const outcome = await runApart(words, { signal, onLine, ...(starter === undefined ? { threads } : { starter }) });
    if (outcome.code === EXIT.done) return;
    throw outcome.code === EXIT.interrupted || signal.aborted ? interrupted() : failureOf(outcome, label);
  };
}

/** Where steps in processes of their own would all fall back to a slow engine, it is chosen here: one warning is enough. */
async function engineOfAll({ engine }: Chosen): Promise<string | undefined> {
  const { startEngine } = await import('../engine/index.js');
  const fastest = await startEngine();
  return fastest === 'wasm' || fastest === 'js' ? fastest : engine;
}

/** What starts the ranks of a step; undefined for a step that one process does. */
async function rankStarter(
  { launch = {} }: Study,
  chosen: Chosen,
  { takesRanks }: Context,
): Promise<(step: StudyStep) => Promise<string | undefined>> {
  const { ranksOf } = await import('../compare/index.js');
  return async step => {
    const ranks = await ranksOf(step, { launch, overrides: chosen, takesRanks });
    return ranks === 1 ? undefined : `${chosen.mpirun ?? launch.mpirun ?? 'mpirun'} -n ${ranks}`;
  };
}

function failureOf({ code, complaint }: ApartOutcome, label: string): UserError {
  const what = typeof code === 'number' ? complaint : `ended by ${code}`;
  return new UserError(`${label}: ${what}`, code === EXIT.usage ? EXIT.usage : EXIT.failed);
}

/** Options of the study apply to its steps. */
const sharedWords = ({ precision, quiet, verbose }: Chosen, engine?: string): string[] => [
  ...(engine === undefined ? [] : [`--engine=${engine}`]),
  `--precision=${precision}`,
  ...(quiet ? ['--quiet'] : []),
  ...(verbose ? ['--verbose'] : []),
];

/** A step that sets one of them itself keeps its own value: `precision: bf16` of one training. */
const withShared = (argv: string[], shared: string[]): string[] => [
  ...argv,
  ...shared.filter(word => !argv.includes(word.split('=')[0])),
];

/** Forwards a line of a step's stderr; the reason why it failed becomes the study's own error. */
function tell(log: Log, label: string, line: string): void {
  const warning = 'warning: ';
  if (line.startsWith(warning)) log.warn(`${label}: ${line.slice(warning.length)}`);
  else if (!line.startsWith('maetok: ')) log.note(`${label} | ${line}`);
}

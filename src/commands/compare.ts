import { readdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, extname, join } from 'node:path';
import { z } from 'zod';
import { EXIT, UserError, type Log } from '../base/index.js';
import type { Plan, RunCommand, Study } from '../compare/index.js';
import { runApart } from './apart.js';
import { defineCommand, type Context } from './command.js';
import { count } from '../base/options.js';
import { common, force } from './options.js';
import { writeTable } from './table.js';

export const studyOptions = z.object({
  out: z.string().optional().describe('folder of the study; default: its name'),
  dryRun: z.boolean().default(false).describe('print the command lines of the study; run nothing'),
  force: force.describe('start the study again from scratch; otherwise finished steps are kept'),
  jobs: count
    .optional()
    .describe('number of independent steps that run at once, each in its own process with its share of the cores'),
  ...common,
});

export const compare = defineCommand({
  name: 'compare',
  describe: 'Runs a study: tokenizers × analyses, into one folder with tables, charts and a report.',
  examples: [
    ['maetok compare studies/demo.yaml --dry-run', 'the command lines that it would run'],
    ['maetok compare studies/demo.yaml --out demo', 'run it; after an interruption the same command resumes it'],
    [
      'maetok compare studies/demo.yaml --out demo --jobs 3',
      'its three tokenizers in parallel, on a machine with enough cores',
    ],
    [
      'maetok compare studies/ablation.yaml --data cifar10/train --test cifar10/val --out ablation',
      'a study on your own images',
    ],
  ],
  inputs: { name: 'study', describe: 'a study in YAML (format: docs/studies.md)' },
  options: studyOptions.extend({
    data: z.string().optional().describe('images to use instead of the study’s'),
    test: z.string().optional().describe('images for probes and evaluation, instead of the study’s'),
    features: z
      .string()
      .optional()
      .describe('feature extractor of `evaluate`, instead of the study’s (see `evaluate`)'),
  }),
  saves: () => true,
  async run(chosen, [path], context) {
    const { readStudy } = await import('../compare/index.js');
    const study = await readStudy(path, chosen);
    await runStudy(study, chosen.out ?? basename(path, extname(path)), chosen, context);
  },
});

/** Runs the unfinished steps of a study, then writes charts and a report of all its tables; the summary goes to stdout. */
export async function runStudy(
  study: Study,
  out: string,
  chosen: z.output<typeof studyOptions>,
  context: Context,
): Promise<void> {
  const { commandLine, planStudy } = await import('../compare/index.js');
  const plan = planStudy(study, out);
  if (chosen.dryRun) {
    for (const { argv } of plan.steps) context.stdout.write(`${commandLine(argv)}\n`);
    return;
  }
  const { holdFolder } = await import('../io/index.js');
  await holdFolder(out, {}, () => studyHeld(study, plan, out, chosen, context));
}

async function studyHeld(
  study: Study,
  plan: Plan,
  out: string,
  chosen: z.output<typeof studyOptions>,
  context: Context,
): Promise<void> {
  const { readTables, runSteps, writeReport } = await import('../compare/index.js');
  if (chosen.force) await removeStudy(out);
  const { jobs = 1 } = chosen;
  await runSteps(plan.steps, {
    out,
    jobs,
    run: await runner(jobs, chosen, context),
    log: context.log,
    signal: context.signal,
  });
  const summary = await writeReport(study, plan, await readTables(study, plan, out), out);
  context.log.note(`wrote ${join(out, 'report.html')}, next to summary.csv, charts and tables`);
  await writeTable(context, summary.columns, summary.rows, {});
}

/** Runs steps in this process, whose engine is already running, or several at once, each in its own process. */
async function runner(jobs: number, chosen: z.output<typeof studyOptions>, context: Context): Promise<RunCommand> {
  if (jobs === 1) return argv => context.run(withShared(argv, sharedWords(chosen, chosen.engine)));
  const { interrupted } = await import('../compare/index.js');
  const { startEngine } = await import('../engine/index.js');
  // Chosen here, so that one warning, not one per step, says that the engine is a slow one.
  const shared = sharedWords(chosen, await startEngine());
  const threads = Math.max(1, Math.floor(availableParallelism() / jobs));
  return async (argv, label, signal) => {
    const onLine = (line: string): void => tell(context.log, label, line);
    const { code, complaint } = await runApart(withShared(argv, shared), { signal, threads, onLine });
    if (code === EXIT.done) return;
    if (code === EXIT.interrupted || signal.aborted) throw interrupted();
    const what = typeof code === 'number' ? complaint : `ended by ${code}`;
    throw new UserError(`${label}: ${what}`, code === EXIT.usage ? EXIT.usage : EXIT.failed);
  };
}

/** Options of the study apply to its steps. */
const sharedWords = ({ precision, quiet, verbose }: z.output<typeof studyOptions>, engine?: string): string[] => [
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

/** Empties a folder only if a study made it. */
async function removeStudy(out: string): Promise<void> {
  const { LOCK } = await import('../io/index.js');
  const names = (await readdir(out)).filter(name => name !== LOCK);
  if (names.length > 0 && !names.includes('steps.json'))
    throw new UserError(`${out}: already exists and holds no study; choose another --out`, EXIT.failed);
  for (const name of names) await rm(join(out, name), { recursive: true });
}

import { readdir, rm } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import type { z } from 'zod';
import { EXIT, UserError } from '../base/index.js';
import type { Plan, Study } from '../compare/index.js';
import { defineCommand, type Context } from './command.js';
import { compareOptions, type studyOptions } from './compare-options.js';
import { launchSteps, shownSteps } from './launch.js';
import { showPage } from './show-page.js';
import { writeTable } from './table.js';

export const compare = defineCommand({
  name: 'compare',
  describe:
    'Compares latent spaces by everything that can be measured of them, or runs a study (tokenizers × analyses), into one folder with tables, charts and a report.',
  examples: [
    ['maetok compare mae=latents/mae vae=latents/vae mine=mine.npz --out cmp', 'latents, in about five minutes'],
    ['maetok compare mae=runs/mae vae=hf:owner/vae --data photos --out cmp --open', 'tokenizers, on your images'],
    [
      'maetok compare mae=latents/mae vae=latents/vae --with diffusion --minutes 30 --watch',
      'with what a diffusion model makes of them',
    ],
    ['maetok compare studies/demo.yaml --dry-run', 'the command lines that a study would run'],
    ['maetok compare studies/demo.yaml --out demo', 'run it; after an interruption the same command resumes it'],
    [
      'maetok compare studies/ablation.yaml --data cifar10/train --test cifar10/val --out ablation --jobs 3',
      'a study on your own images, three steps at once',
    ],
    [
      'maetok compare studies/ablation.yaml --out ablation --launch slurm --slurm-args="--partition=gpu --time=8:00:00"',
      'every step a job of the cluster',
    ],
  ],
  inputs: {
    name: 'input',
    describe: 'a study in YAML (docs/studies.md); or latents or tokenizers, each optionally named (mae=PATH)',
    max: 64,
  },
  options: compareOptions,
  saves: () => true,
  async run(chosen, inputs, context) {
    const { readStudy } = await import('../compare/index.js');
    const isStudy = inputs.map(path => /\.ya?ml$/i.test(path));
    if (isStudy.every(yes => !yes)) {
      await compareInputs(inputs, chosen, context);
      return;
    }
    if (inputs.length > 1)
      throw new UserError('one study at a time; `maetok report` puts those that have run on one page');
    const [path] = inputs;
    const study = await readStudy(path, chosen);
    await runStudy(study, chosen.out ?? basename(path, extname(path)), chosen, context);
  },
});

/** Compares what the command line names, as the study that this stands for. */
async function compareInputs(
  inputs: string[],
  chosen: z.output<typeof compareOptions>,
  context: Context,
): Promise<void> {
  const { studyOfInputs } = await import('./compare-latents.js');
  const { out = 'comparison' } = chosen;
  if (chosen.dryRun) {
    const study = await studyOfInputs(inputs, out, chosen, context, () => {
      throw new UserError('--dry-run plans from latents, which these tokenizers have yet to make; leave it out');
    });
    await runStudy(study, out, chosen, context);
    return;
  }
  await holdStudy(out, chosen, async () => {
    const study = await studyOfInputs(inputs, out, chosen, context, async base => {
      await runUnfinished(base, out, { ...chosen, watch: false }, context, { save: false });
    });
    const plan = await runUnfinished(study, out, chosen, context, { redo: true });
    await reported(study, out, plan, chosen, context);
  });
}

/** Runs the unfinished steps of a study, then writes charts and a report of all its tables; the summary goes to stdout. */
export async function runStudy(
  study: Study,
  out: string,
  chosen: z.output<typeof studyOptions>,
  context: Context,
): Promise<void> {
  const { planStudy } = await import('../compare/index.js');
  if (chosen.dryRun) {
    context.stdout.write(await shownSteps({ study, plan: planStudy(study, out), out }, chosen, context));
    return;
  }
  await holdStudy(out, chosen, async () => {
    await reported(study, out, await runUnfinished(study, out, chosen, context), chosen, context);
  });
}

async function holdStudy(out: string, { force }: { force: boolean }, body: () => Promise<void>): Promise<void> {
  const { holdFolder } = await import('../io/index.js');
  await holdFolder(out, {}, async () => {
    if (force) await removeStudy(out);
    await body();
  });
}

async function runUnfinished(
  study: Study,
  out: string,
  chosen: z.output<typeof studyOptions>,
  context: Context,
  { redo = false, save = true } = {},
): Promise<Plan> {
  const { planStudy, saveStudy } = await import('../compare/index.js');
  const plan = planStudy(study, out);
  if (save) await saveStudy(study, out, `What \`maetok ${context.argv.join(' ')}\` stands for.`);
  const onStep = chosen.watch ? watcher(study, plan, out, chosen, context) : undefined;
  await launchSteps({ study, plan, out, redo, onStep }, chosen, context);
  return plan;
}

/** Writes the report after every step, and shows it after the first. */
function watcher(
  study: Study,
  plan: Plan,
  out: string,
  { open }: z.output<typeof studyOptions>,
  { log }: Context,
): (remaining: number) => Promise<void> {
  let shown = false;
  let written = Promise.resolve();
  return remaining =>
    (written = written.then(async () => {
      const { readTables, writeReport } = await import('../compare/index.js');
      await writeReport(study, plan, await readTables(study, plan, out), out, { remaining });
      if (shown) return;
      shown = true;
      const page = join(out, 'report.html');
      log.note(`${page}: grows with every step`);
      if (open) await showPage(page, log);
    }));
}

/** Writes the report and what belongs to it, and the summary to stdout. */
async function reported(
  study: Study,
  out: string,
  plan: Plan,
  { open, watch }: z.output<typeof studyOptions>,
  context: Context,
): Promise<void> {
  const { readTables, writeReport } = await import('../compare/index.js');
  const summary = await writeReport(study, plan, await readTables(study, plan, out), out);
  const page = join(out, 'report.html');
  context.log.note(`wrote ${page}, next to study.yaml, summary.csv, charts and tables`);
  if (open && !watch) await showPage(page, context.log);
  await writeTable(context, summary.columns, summary.rows, {});
}

/** Empties a folder only if a study made it. */
async function removeStudy(out: string): Promise<void> {
  const { refuseWhileSubmitted } = await import('../compare/index.js');
  const { LOCK } = await import('../io/index.js');
  await refuseWhileSubmitted(out);
  const names = (await readdir(out)).filter(name => name !== LOCK);
  if (names.length > 0 && !names.some(name => name === 'steps.json' || name === 'study.yaml'))
    throw new UserError(`${out}: already exists and holds no study; choose another --out`, EXIT.failed);
  for (const name of names) await rm(join(out, name), { recursive: true });
}

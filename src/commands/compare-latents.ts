import type { z } from 'zod';
import { basename, resolve } from 'node:path';
import { availableCores, silentLog, UserError } from '../base/index.js';
import type { Extra } from '../compare/names.js';
import type { NamedSpace, Sizes, Study } from '../compare/index.js';
import type { compareOptions } from './compare-options.js';
import type { Context } from './command.js';
import { namedInputs } from './inputs.js';

/** Runs the steps of a study that are not done yet. */
type RunSteps = (study: Study) => Promise<void>;

/**
 * The study that latents or tokenizers on the command line stand for. What is in its folder is kept: more inputs are
 * measured as the earlier ones were. Else sizes are chosen for the time given, and told.
 */
export async function studyOfInputs(
  inputs: string[],
  out: string,
  chosen: z.output<typeof compareOptions>,
  context: Context,
  runSteps: RunSteps,
): Promise<Study> {
  const compare = await import('../compare/index.js');
  const { data, test, seed, log, with: extras } = { ...chosen, log: context.log };
  refuseExtras(extras, data);
  const spaces: NamedSpace[] = [];
  for (const { name, path } of namedInputs(inputs)) spaces.push({ name, path, kind: await compare.kindOf(path, data) });
  if (extras.includes('samples') && spaces.some(({ kind }) => kind === 'latents'))
    log.note('--with samples: only the spaces of tokenizers are sampled; latents have no decoder here');
  const base = compare.latentsOnly(spaces, { name: basename(resolve(out)), data, test, seed });
  if (compare.hasStudy(out)) {
    log.note(`${out}: keeps the sizes that its study.yaml has; --force chooses new ones`);
    const study = await compare.savedStudy(out);
    const lacks = extras.find(extra => (extra === 'diffusion' ? study.diffusion : study.sample) === false);
    if (lacks !== undefined)
      throw new UserError(
        `--with ${lacks}: the study in ${out} was planned without; add it to ${out}/study.yaml and run that file, or --force to start again`,
      );
    return compare.withSpaces(study, base);
  }
  if (spaces.some(({ kind }) => kind === 'tokenizer')) {
    log.note('first the latents; the plan follows once they are there');
    await runSteps(base);
  }
  const facts = await Promise.all(
    compare.planStudy(base, out).spaces.map(({ tokenizer, latents }) => compare.factsOf(tokenizer, latents)),
  );
  const silent = { stdout: { write: () => true }, log: silentLog };
  const timings = await compare.calibrate(facts, {
    diffusion: extras.includes('diffusion'),
    run: argv => context.run(argv, silent),
    seed,
  });
  const sizes = compare.chooseSizes(facts, timings, chosen.minutes);
  for (const line of planLines(facts, sizes, chosen.minutes)) log.note(line);
  return compare.composed(base, facts, sizes, extras, chosen.features ?? 'hog');
}

function refuseExtras(extras: readonly Extra[], data: string | undefined): void {
  if (!extras.includes('samples')) return;
  if (!extras.includes('diffusion'))
    throw new UserError('--with samples needs the diffusion models that draw them: --with diffusion,samples');
  if (data === undefined) throw new UserError('--with samples needs tokenizers and --data: images to compare with');
}

/** What will be done to how many rows, and how long it takes, about. */
function planLines(spaces: { name: string; rows: number }[], sizes: Sizes, minutes: number): string[] {
  const most = Math.max(...spaces.map(({ rows }) => rows));
  const of = (rows: number): string => (rows >= most ? `all rows (${most})` : `${rows} of ${most} rows, drawn by seed`);
  const { mixtures, probes, diagnosis, embedding, diffusion } = sizes;
  const lines: [what: string, how: string, seconds: number][] = [
    [
      'mixtures',
      `${mixtures.components.join(', ')} components on ${mixtures.dims} axes, two nulls; ${of(mixtures.rows)}`,
      mixtures.seconds,
    ],
    ...(probes.seconds > 0
      ? ([['probes', `logistic and k-NN, with shuffled labels; ${of(probes.rows)}`, probes.seconds]] as [
          string,
          string,
          number,
        ][])
      : []),
    ['diagnose', `every measure; ${of(diagnosis.rows)}`, diagnosis.seconds],
    ['umap', of(embedding.rows), embedding.seconds],
    ...(diffusion
      ? ([['diffusion', `sit-tiny, ${diffusion.steps} steps on each space`, diffusion.seconds]] as [
          string,
          string,
          number,
        ][])
      : []),
  ];
  const total = lines.reduce((sum, [, , seconds]) => sum + seconds, 0);
  return [
    `plan for ${spaces.length} latent ${spaces.length === 1 ? 'space' : 'spaces'} in ${minutes} minutes on ${availableCores()} cores, by times measured on a few rows:`,
    ...lines.map(([what, how, seconds]) => `  ${what.padEnd(9)} about ${duration(seconds).padStart(6)}  ${how}`),
    `  together  about ${duration(total).padStart(6)}${probes.seconds > 0 ? '' : '; no probes, since not all of these latents have labels'}`,
  ];
}

const duration = (seconds: number): string =>
  seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${(seconds / 60).toFixed(1)} min`;

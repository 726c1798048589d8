import { join } from 'node:path';
import { kebab, quoted } from '../base/index.js';
import type { StepKind } from './names.js';
import { trains, type Flags, type Study } from './study.js';

/** One command line of a study. */
export interface StudyStep {
  /** `train mae-0`, for messages and the record of finished steps. */
  name: string;
  kind: StepKind;
  /** Its name without its seed: the steps of a series differ in that alone. */
  series: string;
  argv: string[];
  /** A folder or file that the step makes, relative to the study. */
  output: string;
  /** Whether `--resume` continues where an earlier attempt stopped. */
  resumable: boolean;
}

/** One latent space under one seed, and where its parts are in the study's folder. */
export interface StudySpace {
  tokenizer: string;
  seed: number;
  /** `mae`, or with several seeds `mae-0`, … */
  name: string;
  latents: string;
  /** Latents of the test images, where there are any. */
  test: string | undefined;
  /** The decoder: a run folder or a ready-made tokenizer; absent for latents without one. */
  decoder: string | undefined;
  /** Flags for opening it. */
  opening: OptionalFlags;
  runs: DiffusionRun[];
}

/** One diffusion model trained on a latent space. */
export interface DiffusionRun {
  /** The space's name, or with several seeds of diffusion `mae-d0`, … */
  name: string;
  seed: number;
  folder: string;
  samples: string;
  /** Names the runs under the same seeds, one per latent space, whose samples are evaluated together. */
  group: string;
}

export interface Plan {
  spaces: StudySpace[];
  steps: StudyStep[];
}

/** The command lines of a study, in an order in which they can run; `out` is its folder. */
export function planStudy(study: Study, out: string): Plan {
  const spaces = study.seeds.flatMap(seed => Object.keys(study.tokenizers).map(name => space(study, out, name, seed)));
  const steps = [
    ...spaces.flatMap(one => latentSteps(study, out, one)),
    ...mixtureSteps(study, out, spaces),
    ...spaces.flatMap(one => [
      ...probeSteps(study, out, one),
      ...diagnoseSteps(study, out, one),
      ...umapSteps(study, out, one),
      ...one.runs.flatMap(run => diffusionSteps(study, one, run)),
      ...evaluationSteps(study, out, one),
    ]),
    ...generationSteps(study, out, spaces),
  ];
  return { spaces, steps };
}

function space(study: Study, out: string, tokenizer: string, seed: number): StudySpace {
  const { train, tokenizer: ready, same, latents, test, ...rest } = study.tokenizers[tokenizer];
  const name = underSeed(study, tokenizer, seed);
  const trained = train === undefined ? same : tokenizer;
  return {
    tokenizer,
    seed,
    name,
    latents: latents ?? join(out, 'latents', name),
    test: latents !== undefined ? test : study.test === undefined ? undefined : join(out, 'latents', `${name}-test`),
    decoder: trained === undefined ? ready : runOf(study, out, trained, seed),
    // The keys next to `train` are flags of the training.
    opening: train === undefined ? { ...rest, family: undefined } : {},
    runs: (study['diffusion-seeds'] ?? [undefined]).map(own => {
      const run = own === undefined ? name : `${name}-d${own}`;
      const [folder, samples] = [join(out, 'diffusion', run), join(out, 'samples', run)];
      return {
        name: run,
        seed: own ?? seed,
        folder,
        samples,
        group: own === undefined ? `${seed}` : `${seed}-d${own}`,
      };
    }),
  };
}

const underSeed = ({ seeds }: Study, name: string, seed: number): string =>
  seeds.length > 1 ? `${name}-${seed}` : name;

/** The folder in which the study trains a tokenizer. */
const runOf = (study: Study, out: string, tokenizer: string, seed: number): string =>
  join(out, 'tokenizers', underSeed(study, tokenizer, seed));

function latentSteps(study: Study, out: string, one: StudySpace): StudyStep[] {
  const { train, latents, from, ...own } = study.tokenizers[one.tokenizer];
  if (latents !== undefined) return [];
  const steps: StudyStep[] = [];
  const start = from === undefined || !trains(study, from) ? from : runOf(study, out, from, one.seed);
  if (train !== undefined)
    steps.push({
      name: `train ${one.name}`,
      kind: 'train',
      series: `train ${one.tokenizer}`,
      argv: [
        'train',
        train,
        ...words({ data: study.data, from: start, ...own, family: undefined, seed: one.seed, out: one.decoder }),
      ],
      output: one.decoder!,
      resumable: true,
    });
  const extract = (images: string, data: string, out: string): StudyStep => ({
    name: `extract ${one.name}${images}`,
    kind: 'extract',
    series: `extract ${one.tokenizer}${images}`,
    argv: [
      'extract',
      ...words({ tokenizer: one.decoder, ...one.opening, data, ...study.extract, seed: one.seed, out }),
    ],
    output: out,
    resumable: true,
  });
  steps.push(extract('', study.data!, one.latents));
  if (one.test !== undefined) steps.push(extract(' (test)', study.test!, one.test));
  return steps;
}

/**
 * One sweep over all spaces of a seed, so that they share the number of dimensions; one for each space where that
 * number is given, so that the others need not be fitted again when a space is added.
 */
function mixtureSteps({ gmm, seeds }: Study, out: string, spaces: StudySpace[]): StudyStep[] {
  if (gmm === false) return [];
  const step = (of: StudySpace[], name: string, label: string, series: string): StudyStep => {
    const [{ seed }] = of;
    const output = join(out, 'tables', `nll-${name}.csv`);
    const inputs = of.map(({ tokenizer, latents }) => `${tokenizer}=${latents}`);
    // Further tables of the same fits, which `true` asks for: they stand beside the sweep's own.
    const wanted = FURTHER_TABLES.filter(flag => gmm[flag] === true);
    const further: Flags = Object.fromEntries(wanted.map(flag => [flag, join(out, 'tables', `${flag}-${name}.csv`)]));
    return {
      name: label,
      kind: 'gmm',
      series,
      argv: ['analyze-gmm', ...inputs, ...words({ ...gmm, ...further, seed, out: output })],
      output,
      resumable: false,
    };
  };
  if (fittedApart(gmm))
    return spaces.map(one => step([one], one.name, `mixtures of ${one.name}`, `mixtures of ${one.tokenizer}`));
  return seeds.map(seed =>
    step(
      spaces.filter(one => one.seed === seed),
      String(seed),
      `mixtures, seed ${seed}`,
      'mixtures',
    ),
  );
}

/** Whether a space's mixtures do not depend on which other spaces there are. */
export const fittedApart = (gmm: Flags): boolean =>
  (typeof gmm.dims === 'number' || gmm.dims === 'own') && gmm.paired !== true;

/** Flags of `analyze-gmm` that name a further table. */
const FURTHER_TABLES = ['best', 'modes', 'diffusion-floor', 'stats', 'paired'];

function probeSteps({ probe }: Study, out: string, one: StudySpace): StudyStep[] {
  return probe === false ? [] : [latentsTable('probe', { test: one.test, ...probe }, out, one)];
}

function diagnoseSteps({ diagnose }: Study, out: string, one: StudySpace): StudyStep[] {
  return diagnose === false ? [] : [latentsTable('diagnose', diagnose, out, one)];
}

function umapSteps({ umap }: Study, out: string, one: StudySpace): StudyStep[] {
  if (umap === false) return [];
  return [latentsTable('umap', { ...umap, quality: join(out, 'tables', `umap-quality-${one.name}.csv`) }, out, one)];
}

/** A command that turns one space's latents into a table. */
function latentsTable(
  command: 'probe' | 'diagnose' | 'umap',
  flags: OptionalFlags,
  out: string,
  one: StudySpace,
): StudyStep {
  const output = join(out, 'tables', `${command}-${one.name}.csv`);
  const settings = words({ ...flags, seed: one.seed, out: output });
  return {
    name: `${command} ${one.name}`,
    kind: command,
    series: `${command} ${one.tokenizer}`,
    argv: [command, `${one.tokenizer}=${one.latents}`, ...settings],
    output,
    resumable: false,
  };
}

function diffusionSteps({ diffusion, sample }: Study, one: StudySpace, run: DiffusionRun): StudyStep[] {
  if (diffusion === false) return [];
  const { model, ...own } = diffusion;
  const train: StudyStep = {
    name: `diffusion on ${run.name}`,
    kind: 'diffusion',
    series: `diffusion on ${one.tokenizer}`,
    argv: ['train', model, ...words({ latents: one.latents, ...own, seed: run.seed, out: run.folder })],
    output: run.folder,
    resumable: true,
  };
  if (sample === false || one.decoder === undefined) return [train];
  return [
    train,
    {
      name: `sample ${run.name}`,
      kind: 'sample',
      series: `sample ${one.tokenizer}`,
      argv: [
        'sample',
        run.folder,
        ...words({ tokenizer: one.decoder, ...one.opening, ...sample, seed: run.seed, out: run.samples }),
      ],
      output: run.samples,
      resumable: true,
    },
  ];
}

/** Evaluates reconstructions of the test images. */
function evaluationSteps(study: Study, out: string, one: StudySpace): StudyStep[] {
  const { evaluate, evaluations, data, test } = study;
  if (one.decoder === undefined || data === undefined) return [];
  const reconstruction = (kind: string, flags: Flags): StudyStep => {
    const own = Object.entries(flags).map(([flag, value]) => [flag, value === '$latents' ? one.latents : value]);
    const settings = Object.fromEntries(own) as Flags;
    const output = join(out, 'tables', `${kind}-${one.name}.csv`);
    const argv = {
      tokenizer: one.decoder,
      ...one.opening,
      data: test ?? data,
      ...settings,
      seed: one.seed,
      out: output,
    };
    return {
      name: `evaluate ${one.name} (${kind})`,
      kind: 'evaluate',
      series: `evaluate ${one.tokenizer} (${kind})`,
      argv: ['evaluate', ...words(argv)],
      output,
      resumable: false,
    };
  };
  return [
    ...(evaluate === false ? [] : [reconstruction('reconstruction', evaluate)]),
    ...Object.entries(evaluations).map(([kind, flags]) => reconstruction(kind, flags)),
  ];
}

/** Compares samples with the images: those of all latent spaces at once, so that the images' features are computed once. */
function generationSteps({ evaluate, data, diffusion, sample }: Study, out: string, spaces: StudySpace[]): StudyStep[] {
  if (evaluate === false || data === undefined || diffusion === false || sample === false) return [];
  const sampled = spaces.filter(({ decoder }) => decoder !== undefined);
  const groups = new Map<string, { seed: number; inputs: string[] }>();
  for (const { tokenizer, seed, runs } of sampled)
    for (const { group, samples } of runs) {
      const inputs = groups.get(group)?.inputs ?? [];
      groups.set(group, { seed, inputs: [...inputs, `${tokenizer}=${samples}`] });
    }
  return [...groups].map(([group, { seed, inputs }]) => {
    const output = generationTable(out, group);
    return {
      name: `evaluate samples, seed ${group}`,
      kind: 'evaluate',
      series: 'evaluate samples',
      argv: ['evaluate', ...inputs, ...words({ reference: data, ...evaluate, seed, out: output })],
      output,
      resumable: false,
    };
  });
}

export const generationTable = (out: string, group: string): string => join(out, 'tables', `generation-${group}.csv`);

/** A step reads the files that its arguments name. */
export const reads = ({ argv }: StudyStep, { output }: StudyStep): boolean =>
  argv.some(word => word === output || word.endsWith(`=${output}`));

/**
 * The word that a step takes where an earlier attempt has left something: a folder is resumed; a table, which exists only
 * when it is complete, was written just before the interruption.
 */
export const againWord = ({ resumable }: StudyStep): string => (resumable ? '--resume' : '--force');

/** A step as one would type it. */
export const commandLine = (argv: string[]): string => `maetok ${argv.map(quoted).join(' ')}`;

type OptionalFlags = Record<string, Flags[string] | undefined>;

/** Flags as one would type them: `--steps 500`, lists with commas, `--force` and `--no-force`. */
export function words(flags: OptionalFlags): string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (value === true) return [`--${kebab(name)}`];
    if (value === false) return [`--no-${kebab(name)}`];
    return [`--${kebab(name)}`, Array.isArray(value) ? value.join(',') : String(value)];
  });
}

import { join } from 'node:path';
import { kebab } from '../base/index.js';
import { trains, type Flags, type Study } from './study.js';

/** One command line of a study. */
export interface StudyStep {
  /** `train mae-0`, for messages and the record of finished steps. */
  name: string;
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
  opening: Flags;
  diffusion: string;
  samples: string;
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
    ...study.seeds.flatMap(seed => mixtureSteps(study, out, seed, ofSeed(spaces, seed))),
    ...spaces.flatMap(one => [
      ...probeSteps(study, out, one),
      ...diffusionSteps(study, one),
      ...evaluationSteps(study, out, one),
    ]),
  ];
  return { spaces, steps };
}

const ofSeed = (spaces: StudySpace[], seed: number): StudySpace[] => spaces.filter(one => one.seed === seed);

function space(study: Study, out: string, tokenizer: string, seed: number): StudySpace {
  const { train, tokenizer: ready, same, latents, test, ...flags } = study.tokenizers[tokenizer];
  const named = (one: string): string => underSeed(study, one, seed);
  const name = named(tokenizer);
  const trained = train === undefined ? same : tokenizer;
  return {
    tokenizer,
    seed,
    name,
    latents: latents ?? join(out, 'latents', name),
    test: latents !== undefined ? test : study.test === undefined ? undefined : join(out, 'latents', `${name}-test`),
    decoder: trained === undefined ? ready : runOf(study, out, trained, seed),
    // The keys next to `train` are flags of the training.
    opening: train === undefined ? flags : {},
    diffusion: join(out, 'diffusion', name),
    samples: join(out, 'samples', name),
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
      argv: ['train', train, ...words({ data: study.data, from: start, ...own, seed: one.seed, out: one.decoder })],
      output: one.decoder!,
      resumable: true,
    });
  const extract = (name: string, data: string, out: string): StudyStep => ({
    name,
    argv: [
      'extract',
      ...words({ tokenizer: one.decoder, ...one.opening, data, ...study.extract, seed: one.seed, out }),
    ],
    output: out,
    resumable: true,
  });
  steps.push(extract(`extract ${one.name}`, study.data!, one.latents));
  if (one.test !== undefined) steps.push(extract(`extract ${one.name} (test)`, study.test!, one.test));
  return steps;
}

/** One sweep over all spaces of a seed, so that they share the number of dimensions. */
function mixtureSteps({ gmm }: Study, out: string, seed: number, spaces: StudySpace[]): StudyStep[] {
  if (gmm === false) return [];
  const output = join(out, 'tables', `nll-${seed}.csv`);
  const inputs = spaces.map(({ tokenizer, latents }) => `${tokenizer}=${latents}`);
  return [
    {
      name: `mixtures, seed ${seed}`,
      argv: ['analyze-gmm', ...inputs, ...words({ ...gmm, seed, out: output })],
      output,
      resumable: false,
    },
  ];
}

function probeSteps({ probe }: Study, out: string, one: StudySpace): StudyStep[] {
  if (probe === false) return [];
  const output = join(out, 'tables', `probe-${one.name}.csv`);
  return [
    {
      name: `probe ${one.name}`,
      argv: [
        'probe',
        `${one.tokenizer}=${one.latents}`,
        ...words({ test: one.test, ...probe, seed: one.seed, out: output }),
      ],
      output,
      resumable: false,
    },
  ];
}

function diffusionSteps({ diffusion, sample }: Study, one: StudySpace): StudyStep[] {
  if (diffusion === false) return [];
  const { model, ...own } = diffusion;
  const train: StudyStep = {
    name: `diffusion on ${one.name}`,
    argv: ['train', model, ...words({ latents: one.latents, ...own, seed: one.seed, out: one.diffusion })],
    output: one.diffusion,
    resumable: true,
  };
  if (sample === false || one.decoder === undefined) return [train];
  return [
    train,
    {
      name: `sample ${one.name}`,
      argv: [
        'sample',
        one.diffusion,
        ...words({ tokenizer: one.decoder, ...one.opening, ...sample, seed: one.seed, out: one.samples }),
      ],
      output: one.samples,
      resumable: true,
    },
  ];
}

/** Evaluates reconstructions and samples against the test images. */
function evaluationSteps(study: Study, out: string, one: StudySpace): StudyStep[] {
  const { evaluate, data, test, diffusion, sample } = study;
  if (evaluate === false || one.decoder === undefined || data === undefined) return [];
  const step = (kind: string, argv: string[]): StudyStep => {
    const output = join(out, 'tables', `${kind}-${one.name}.csv`);
    return {
      name: `evaluate ${one.name} (${kind})`,
      argv: ['evaluate', ...argv, ...words({ ...evaluate, seed: one.seed, out: output })],
      output,
      resumable: false,
    };
  };
  const reconstruction = step('reconstruction', words({ tokenizer: one.decoder, ...one.opening, data: test ?? data }));
  if (diffusion === false || sample === false) return [reconstruction];
  return [reconstruction, step('generation', [one.samples, ...words({ reference: data })])];
}

/** Flags as one would type them: `--steps 500`, lists with commas, `--force` and `--no-force`. */
function words(flags: Record<string, Flags[string] | undefined>): string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (value === true) return [`--${kebab(name)}`];
    if (value === false) return [`--no-${kebab(name)}`];
    return [`--${kebab(name)}`, Array.isArray(value) ? value.join(',') : String(value)];
  });
}

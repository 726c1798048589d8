import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { messageOf, unreadable, UserError } from '../base/index.js';
import { launchSchema } from './launch.js';
import { MEASURE_NAMES } from './names.js';

/*
 * A study in YAML: latent spaces × analyses. The keys under an analysis, or next to a tokenizer's `train`, are the
 * flags of that command by their own names, so a study says nothing that a command line could not.
 */

const flag = z.union([z.string(), z.number(), z.boolean(), z.array(z.union([z.string(), z.number()]))]);
const flags = z.record(z.string(), flag);
/** Flags, or `false` to leave an analysis out. */
const analysis = z.union([flags, z.literal(false)]);

const tokenizer = z
  .object({
    train: z.string().optional().describe('model to train, as in `maetok train MODEL`'),
    tokenizer: z.string().optional().describe('a ready-made tokenizer, as in `maetok extract --tokenizer`'),
    same: z.string().optional().describe('a tokenizer trained by this study, opened with the flags given here'),
    from: z.string().optional().describe('where its training starts: a tokenizer trained by this study, or a run'),
    latents: z.string().optional().describe('existing latents'),
    test: z.string().optional().describe('latents of the test images, in addition to `latents`'),
    family: z.string().optional().describe('what it is a kind of, for `maetok scoreboard --leave-out family`'),
  })
  .catchall(flag)
  .refine(
    ({ train, tokenizer, same, latents }) => [train, tokenizer, same, latents].filter(Boolean).length === 1,
    'needs exactly one of train, tokenizer, same and latents',
  );

const schema = z.strictObject({
  name: z.string().default('study'),
  about: z.string().optional(),
  data: z.string().optional(),
  test: z.string().optional(),
  seeds: z.array(z.int().nonnegative()).min(1).default([0]),
  /** Of the diffusion models on each latent space; absent: one, with the seed of its tokenizer. */
  'diffusion-seeds': z.array(z.int().nonnegative()).min(1).optional(),
  tokenizers: z.record(
    z.string().regex(/^[\w.-]+$/, 'may contain letters, digits, dots, dashes and underscores'),
    tokenizer,
  ),
  extract: flags.default({}),
  gmm: analysis.default({}),
  probe: analysis.default({}),
  diagnose: analysis.default(false),
  umap: analysis.default(false),
  diffusion: z.union([flags.and(z.object({ model: z.string() })), z.literal(false)]).default(false),
  sample: analysis.default({}),
  evaluate: analysis.default(false),
  /** Further evaluations of the tokenizers' reconstructions, each under its own name: iFID, noise on the latents. */
  evaluations: z.record(z.string().regex(/^\w+$/, 'may contain letters, digits and underscores'), flags).default({}),
  /** What the steps ask for where mpirun or Slurm starts them. */
  launch: launchSchema.optional(),
  /** The paper's measurements of the same tokenizers, for comparison. */
  paper: z
    .strictObject({
      from: z.string().describe('where the numbers are from, and how they were measured'),
      rows: z.record(z.string(), z.record(z.string().regex(/^\w+$/), z.number())),
    })
    .optional(),
  /** Statements of the paper to check against the measured numbers. */
  expect: z
    .array(
      z.strictObject({
        claim: z.string(),
        measure: z.enum(MEASURE_NAMES),
        better: z.string(),
        worse: z.string(),
      }),
    )
    .default([]),
});

export type Study = z.output<typeof schema>;

/** Whether the study itself trains a tokenizer of this name. */
export const trains = ({ tokenizers }: Study, name: string): boolean =>
  (tokenizers[name] as StudyTokenizer | undefined)?.train !== undefined;

type StudyTokenizer = z.output<typeof tokenizer>;
export type Flags = z.output<typeof flags>;

/** Command-line replacements for entries of the study, so that one study serves any images. */
export interface StudyOverrides {
  data?: string | undefined;
  test?: string | undefined;
  /** Feature extractor of `evaluate`. */
  features?: string | undefined;
}

/**
 * Reads and checks a study; paths in it are relative to the file, those in `overrides` to the working directory.
 * @throws UserError naming the place in the file.
 */
export async function readStudy(path: string, overrides: StudyOverrides = {}): Promise<Study> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw unreadable(path, error);
  });
  let content: unknown;
  try {
    content = parse(text, { merge: true });
  } catch (error) {
    throw new UserError(`${path}: not valid YAML: ${messageOf(error).split('\n')[0]}`);
  }
  return checkStudy(overridden(content, overrides), path, dirname(path));
}

function overridden(content: unknown, { data, test, features }: StudyOverrides): unknown {
  if (content === null || typeof content !== 'object') return content;
  const { evaluate, evaluations, ...study } = content as { evaluate?: unknown; evaluations?: Record<string, object> };
  return {
    ...study,
    // The study's test images belong to its training images and are dropped with them.
    ...(data === undefined ? {} : { data: located(data, process.cwd()), test: undefined }),
    ...(test === undefined ? {} : { test: located(test, process.cwd()) }),
    ...(features === undefined
      ? { evaluate, evaluations }
      : { evaluate: { ...(evaluate as object), features }, evaluations: replaced(evaluations, { features }) }),
  };
}

/** The further evaluations with these flags, each where it has them already. */
const replaced = (evaluations: Record<string, object> | undefined, flags: Flags): Record<string, object> | undefined =>
  evaluations &&
  Object.fromEntries(
    Object.entries(evaluations).map(([name, own]) => [
      name,
      { ...own, ...Object.fromEntries(Object.entries(flags).filter(([flag]) => Object.hasOwn(own, flag))) },
    ]),
  );

/** Tables that every study may have, by the start of their file names. */
const RESERVED = ['nll', 'best', 'probe', 'diagnose', 'umap', 'reconstruction', 'generation'];

/** Checks a study that is already in memory. Relative paths are resolved against `base`. */
export function checkStudy(content: unknown, name: string, base: string): Study {
  const outcome = schema.safeParse(content);
  if (!outcome.success) {
    const [{ path, message }] = outcome.error.issues;
    throw new UserError(`${name}: ${path.length > 0 ? `${path.join('.')}: ` : ''}${message}`);
  }
  const study = outcome.data;
  if (Object.keys(study.tokenizers).length === 0) throw new UserError(`${name}: tokenizers: name at least one`);
  const order = Object.keys(study.tokenizers);
  for (const [key, { latents, test, same, from }] of Object.entries(study.tokenizers)) {
    if (same !== undefined && !trains(study, same))
      throw new UserError(`${name}: tokenizers.${key}.same: this study trains no '${same}'`);
    if (from !== undefined && trains(study, from) && order.indexOf(from) >= order.indexOf(key))
      throw new UserError(`${name}: tokenizers.${key}.from: '${from}' must come before it`);
    if (latents === undefined && study.data === undefined)
      throw new UserError(`${name}: tokenizers.${key}: needs images; give their location under 'data'`);
    if (test !== undefined && latents === undefined)
      throw new UserError(
        `${name}: tokenizers.${key}.test: requires 'latents'; test images go under 'test' of the study`,
      );
  }
  const reserved = Object.keys(study.evaluations).find(key => RESERVED.includes(key));
  if (reserved !== undefined)
    throw new UserError(`${name}: evaluations.${reserved}: a table of the study has this name; choose another`);
  for (const { better, worse } of study.expect)
    for (const key of [better, worse])
      if (!Object.hasOwn(study.tokenizers, key)) throw new UserError(`${name}: expect: there is no tokenizer '${key}'`);
  for (const key of Object.keys(study.paper?.rows ?? {}))
    if (!Object.hasOwn(study.tokenizers, key))
      throw new UserError(`${name}: paper.rows: there is no tokenizer '${key}'`);
  return relocated(study, base);
}

function relocated(study: Study, base: string): Study {
  const at = (path: string | undefined): string | undefined => (path === undefined ? path : located(path, base));
  const tokenizers = Object.entries(study.tokenizers).map(([name, { tokenizer, latents, test, from, ...rest }]) => [
    name,
    defined({
      ...rest,
      tokenizer: at(tokenizer),
      latents: at(latents),
      test: at(test),
      from: from !== undefined && trains(study, from) ? from : at(from),
    }),
  ]);
  return defined({
    ...study,
    data: at(study.data),
    test: at(study.test),
    tokenizers: Object.fromEntries(tokenizers) as Study['tokenizers'],
  });
}

/** Resolves a relative path against `base`; leaves `synthetic:scenes`, `hf:…` and absolute paths unchanged. */
const located = (path: string, base: string): string =>
  isAbsolute(path) || /^\w[\w-]*:/.test(path) ? path : join(base, path);

const defined = <T extends object>(record: T): T =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;

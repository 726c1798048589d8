import { UserError } from '../base/index.js';
import { openLatents } from '../latents/index.js';
import type { Extra } from './names.js';
import { NULLS, PROBES, type Sizes, type SpaceFacts } from './sizes.js';
import { checkStudy, type Study } from './study.js';

/** A latent space as it was named on the command line. */
export interface NamedSpace {
  name: string;
  path: string;
  kind: 'latents' | 'tokenizer';
}

export interface ComposeOptions {
  name: string;
  data?: string | undefined;
  test?: string | undefined;
  seed: number;
}

/** Whether a path holds latents or is a tokenizer. @throws UserError where it is neither and no images are given. */
export async function kindOf(path: string, data: string | undefined): Promise<NamedSpace['kind']> {
  try {
    await (await openLatents(path)).close();
    return 'latents';
  } catch (error) {
    if (data !== undefined) return 'tokenizer';
    if (!(error instanceof UserError)) throw error;
    throw new UserError(
      `${error.message} (as latents; a tokenizer needs --data: the images to encode)`,
      error.exitCode,
    );
  }
}

/** The study that only makes the latents of these spaces. */
export function latentsOnly(spaces: NamedSpace[], { name, data, test, seed }: ComposeOptions): Study {
  const tokenizers = spaces.map(({ name, path, kind }) => [
    name,
    kind === 'latents' ? { latents: path } : { tokenizer: path },
  ]);
  const content = { name, data, test, seeds: [seed], tokenizers: Object.fromEntries(tokenizers) as object };
  return checkStudy({ ...content, extract: { flips: false }, gmm: false, probe: false, sample: false }, name, '.');
}

/** A study with more latent spaces, measured as those that it has. @throws UserError where a name is taken by another path. */
export function withSpaces(study: Study, added: Study): Study {
  for (const [name, { latents, tokenizer }] of Object.entries(added.tokenizers)) {
    const before = study.tokenizers[name] as Study['tokenizers'][string] | undefined;
    if (before !== undefined && (before.latents ?? before.tokenizer) !== (latents ?? tokenizer))
      throw new UserError(
        `${name}: is ${before.latents ?? before.tokenizer ?? 'another tokenizer'} in this study already; choose another name, or --force to start again`,
      );
  }
  const onlyNew = Object.fromEntries(
    Object.entries(added.tokenizers).filter(([name]) => !Object.hasOwn(study.tokenizers, name)),
  );
  const { data = added.data, test = added.test } = study;
  return { ...study, data, test, tokenizers: { ...study.tokenizers, ...onlyNew } };
}

export async function factsOf(name: string, path: string): Promise<SpaceFacts> {
  const latents = await openLatents(path);
  const { count: rows, tokens, channels, labels } = latents;
  await latents.close();
  const labelled = labels !== undefined && new Set(labels).size > 1;
  return { name, path, rows, dims: tokens * channels, labelled };
}

/** The whole study: everything that can be measured of these latents, at these sizes. */
export function composed(
  base: Study,
  spaces: SpaceFacts[],
  sizes: Sizes,
  extras: readonly Extra[],
  features: string,
): Study {
  const { mixtures, probes, diagnosis, embedding, diffusion } = sizes;
  const labelled = spaces.every(one => one.labelled);
  const samples = extras.includes('samples');
  return {
    ...base,
    gmm: {
      components: mixtures.components,
      dims: mixtures.dims,
      rows: mixtures.rows,
      nulls: NULLS,
      best: true,
      'diffusion-floor': true,
    },
    probe: labelled ? { rows: probes.rows, ...PROBES } : false,
    diagnose: { rows: diagnosis.rows },
    umap: { sample: embedding.rows },
    diffusion:
      diffusion === undefined
        ? false
        : {
            model: 'sit-tiny',
            steps: diffusion.steps,
            'evaluate-every': Math.ceil(diffusion.steps / 4),
            // An average over about a tenth of the training.
            ema: Number(Math.min(0.999, 1 - 10 / diffusion.steps).toPrecision(3)),
          },
    sample: samples ? { num: SAMPLES, steps: 25 } : false,
    evaluate: base.data === undefined || !samples ? false : { features, bootstrap: 20 },
  };
}

/** Enough for a Fréchet distance between hand-made features, few enough for a minute. */
const SAMPLES = 512;

import { UserError, type Log } from '../../base/index.js';
import type { Diffusion } from '../../diffusion/index.js';
import type { NamelessDType } from '../../io/index.js';
import { openNormalised, type NormalisedLatents } from '../../latents/index.js';

export interface FittingLatents {
  latents: string;
  dropNonfinite: boolean;
  dtype?: NamelessDType | undefined;
  /** Keep the latents' own classes, which need not be the model's. */
  ownClasses?: boolean | undefined;
}

/** Latents without their mirrored copies, as a model reads them. @throws UserError where they are not of its shape. */
export async function openFitting(
  diffusion: Diffusion,
  { latents: path, dropNonfinite, dtype, ownClasses = false }: FittingLatents,
  log: Log,
): Promise<NormalisedLatents> {
  const { config, mean, std, step } = diffusion;
  const latents = await openNormalised(path, {
    flips: false,
    ...(!ownClasses && { classes: config.classes, classNames: diffusion.classes }),
    // Published weights do not tell theirs: the latents' own it is.
    normalisation: step === undefined ? undefined : { mean, std },
    dropNonfinite,
    dtype,
    log,
  });
  const { tokens, channels } = latents.source;
  if (tokens === config.tokens && channels === config.channels) return latents;
  await latents.source.close();
  throw new UserError(
    `${path}: its latents are ${tokens}×${channels}, but ${diffusion.name} was trained on ${config.tokens}×${config.channels}`,
  );
}

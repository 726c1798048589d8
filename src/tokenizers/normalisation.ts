import { tf, type Tensor } from '../engine/index.js';
import { memoryBytes, sha256Of } from '../io/index.js';

/**
 * What a system does to its network's z before a diffusion model sees it: (z − shift) · scale. One number for all, one
 * per channel, or one per position and channel, token by token.
 */
export interface Normalisation {
  per: 'all' | 'channel' | 'position';
  /** 1, C or T · C numbers. */
  shift: Float64Array;
  scale: Float64Array;
  /** Where the numbers were found, for people: `config latents_mean, latents_std`. */
  source: string;
}

/** One shift and scale for every number of a latent. */
export const scalarNormalisation = (shift: number, scale: number, source: string): Normalisation => ({
  per: 'all',
  shift: Float64Array.of(shift),
  scale: Float64Array.of(scale),
  source,
});

/** Latents that are handed on as the network gives them. */
export const UNNORMALISED = scalarNormalisation(0, 1, 'none');

/** Statistics of channels, or [T, C] of positions and channels, by which latents get zero mean and unit variance. */
export function standardising(
  per: Normalisation['per'],
  mean: ArrayLike<number>,
  std: ArrayLike<number>,
  source: string,
): Normalisation {
  return { per, shift: Float64Array.from(mean), scale: Float64Array.from(std, value => 1 / value), source };
}

/** z [n, T, C] → (z − shift) · scale. */
export const scaled = (normalisation: Normalisation, z: Tensor): Tensor =>
  tf.tidy(() => z.sub(factor(normalisation, 'shift', z)).mul(factor(normalisation, 'scale', z)));

/** Its inverse. */
export const unscaled = (normalisation: Normalisation, z: Tensor): Tensor =>
  tf.tidy(() => z.div(factor(normalisation, 'scale', z)).add(factor(normalisation, 'shift', z)));

function factor(normalisation: Normalisation, which: 'shift' | 'scale', z: Tensor): Tensor | number {
  const { per, [which]: numbers } = normalisation;
  if (per === 'all') return numbers[0];
  const channels = z.shape[z.rank - 1];
  return tf.tensor(Float32Array.from(numbers), per === 'channel' ? [channels] : [numbers.length / channels, channels]);
}

/** Fields of a protocol card and of latents.json: the numbers, or where there is one per position, their digest. */
export async function normalisationCard({
  per,
  shift,
  scale,
  source,
}: Normalisation): Promise<Record<string, unknown>> {
  const told = async (numbers: Float64Array): Promise<number | number[] | string> => {
    if (per === 'all') return numbers[0];
    return per === 'channel'
      ? [...numbers]
      : `sha256:${await sha256Of(memoryBytes('statistics', new Uint8Array(numbers.buffer)))}`;
  };
  return { latent_shift: await told(shift), latent_scale: await told(scale), latent_normalisation: source };
}

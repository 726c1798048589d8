import { UserError } from '../base/index.js';
import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../engine/index.js';
import { memoryBytes, sha256Of } from '../io/index.js';
import type { Tokenizer } from './tokenizer.js';

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

/**
 * A tokenizer whose encode and decode speak the network's own z → one that speaks normalised latents. This is the one
 * place where latents are normalised.
 * @throws UserError where the numbers do not fit the latents.
 */
export function normalisedBy(normalisation: Normalisation, tokenizer: Tokenizer): Tokenizer {
  refuseMisfit(normalisation, tokenizer);
  return {
    ...tokenizer,
    normalisation,
    encode: async (images, options) => {
      const z = await tokenizer.encode(images, options);
      return isIdentity(normalisation) ? z : replaced(z, () => scaled(normalisation, z) as Tensor3D);
    },
    decode: async latents => {
      if (isIdentity(normalisation)) return await tokenizer.decode(latents);
      const z = unscaled(normalisation, latents) as Tensor3D;
      try {
        return await tokenizer.decode(z);
      } finally {
        z.dispose();
      }
    },
  } satisfies Tokenizer;
}

const isIdentity = ({ shift, scale }: Normalisation): boolean =>
  shift.every(value => value === 0) && scale.every(value => value === 1);

function replaced<T extends Tensor3D | Tensor4D>(old: T, f: () => T): T {
  try {
    return f();
  } finally {
    old.dispose();
  }
}

function refuseMisfit({ per, shift, scale, source }: Normalisation, { name, latentShape }: Tokenizer): void {
  const [tokens, channels] = latentShape;
  const size = { all: 1, channel: channels, position: tokens * channels }[per];
  if (shift.length !== size || scale.length !== size)
    throw new UserError(
      `${name}: ${source}: has ${shift.length === size ? scale.length : shift.length} numbers ${per === 'all' ? 'for all' : `per ${per}`}; latents of ${tokens} tokens of ${channels} channels need ${size}`,
    );
  const wrong = scale.findIndex(value => !Number.isFinite(value) || value === 0);
  const bad = wrong >= 0 ? wrong : shift.findIndex(value => !Number.isFinite(value));
  if (bad < 0) return;
  throw new UserError(
    `${name}: ${source}: number ${bad} cannot normalise anything (shift ${shift[bad]}, scale ${scale[bad]}); a standard deviation of 0 belongs to a channel that never changes`,
  );
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

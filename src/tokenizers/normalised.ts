import { UserError } from '../base/index.js';
import type { Tensor3D } from '../engine/index.js';
import { scaled, unscaled, type Normalisation } from './normalisation.js';
import type { Tokenizer } from './tokenizer.js';

/**
 * A tokenizer whose encode and decode speak the network's own z → one that speaks normalised latents. This is the one
 * place where latents are normalised.
 * @throws UserError where the numbers do not fit the latents.
 */
export function normalisedBy(normalisation: Normalisation, tokenizer: Tokenizer): Tokenizer {
  refuseMisfit(normalisation, tokenizer);
  if (isIdentity(normalisation)) return { ...tokenizer, normalisation };
  return {
    ...tokenizer,
    normalisation,
    encode: async (images, options) => {
      const z = await tokenizer.encode(images, options);
      try {
        return scaled(normalisation, z) as Tensor3D;
      } finally {
        z.dispose();
      }
    },
    decode: async latents => {
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

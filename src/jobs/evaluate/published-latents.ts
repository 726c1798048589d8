import type { Tensor3D } from '../../engine/index.js';
import { scaled, unscaled, type Tokenizer } from '../../tokenizers/index.js';

/*
 * iFID (arXiv 2603.05630) interpolates what the autoencoder itself gives, before the shift and scale that a diffusion
 * model's pipeline applies. Statistics per position belong to the autoencoder there: RAE's latents are normalised.
 */

type Normalised = Pick<Tokenizer, 'normalisation'>;

/** Latents that a tokenizer hands on → those that are interpolated, [n, tokens, channels] both. */
export const toPublished = ({ normalisation }: Normalised, latents: Tensor3D): Tensor3D =>
  normalisation.per === 'position' ? latents.clone() : (unscaled(normalisation, latents) as Tensor3D);

/** Its inverse. */
export const fromPublished = ({ normalisation }: Normalised, z: Tensor3D): Tensor3D =>
  normalisation.per === 'position' ? z.clone() : (scaled(normalisation, z) as Tensor3D);

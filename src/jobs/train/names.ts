import { DIFFUSION_MODELS } from '../../diffusion/names.js';
import { VIT_MODELS } from '../../tokenizers/vit/names.js';
import type { Trainable } from './trainable.js';

/** `maetok train <model>`: model → lazy import, in the order of --help. */
export const TRAINABLES: Record<string, () => Promise<Trainable>> = {
  ...each(VIT_MODELS, async model => (await import('./vit/index.js')).trainableVit(model)),
  'rae-decoder': async () => (await import('./rae/index.js')).trainableRaeDecoder(),
  ...each(DIFFUSION_MODELS, async model => (await import('./diffusion/index.js')).trainableDiffusion(model)),
};

function each<Model extends string>(models: readonly Model[], open: (model: Model) => Promise<Trainable>) {
  return Object.fromEntries(models.map(model => [model, () => open(model)]));
}

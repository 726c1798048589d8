import { DIFFUSION_MODELS } from './diffusion/options.js';
import type { Trainable } from './trainable.js';

const tokenizer = (model: 'ae' | 'kl-vae' | 'maetok') => async (): Promise<Trainable> =>
  (await import('./vit/index.js')).trainableTokenizer(model);

const diffusion = (model: string) => async (): Promise<Trainable> =>
  (await import('./diffusion/index.js')).trainableDiffusion(model);

/** `maetok train <model>`: model → lazy import, in the order of --help. */
export const TRAINABLES: Record<string, () => Promise<Trainable>> = {
  ae: tokenizer('ae'),
  'kl-vae': tokenizer('kl-vae'),
  maetok: tokenizer('maetok'),
  ...Object.fromEntries(DIFFUSION_MODELS.map(model => [model, diffusion(model)])),
};

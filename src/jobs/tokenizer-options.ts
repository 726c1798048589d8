import { z } from 'zod';
import { count, nonNegative, positive, whole, words } from '../base/schemas.js';
// Not through the room's door, which would wake the engine for --help.
import { VIT_SIZES, type VitSize } from '../tokenizers/vit/presets.js';

const mask = z.preprocess(
  value => (typeof value === 'number' ? String(value) : value),
  z.string().regex(/^(off|0?\.\d+(-0?\.\d+)?)$/, 'must be off, one share such as 0.5, or a range such as 0.4-0.6'),
);

/** Flags of `maetok train ae | kl-vae | maetok`. */
export const tokenizerOptions = z.object({
  data: z.string().describe('pictures to learn from: a folder, .npz, .tar or synthetic:scenes'),
  preset: z
    .enum(VIT_SIZES as [VitSize, ...VitSize[]])
    .default('tiny')
    .describe('size of the model'),
  imageSize: count.optional().describe('side of the pictures in pixels'),
  patchSize: count.optional().describe('side of a patch in pixels'),
  latentTokens: whole.optional().describe('learned latent tokens; 0: the image tokens are the latents'),
  latentChannels: count.optional().describe('numbers per latent token'),
  width: count.optional().describe('width of encoder and decoder'),
  depth: count.optional().describe('blocks of the encoder, and of the decoder'),
  heads: count.optional().describe('attention heads of both'),
  layerScale: positive
    .optional()
    .describe('first value of LayerScale; default 0.1 for tiny, 1e-5 for others as published'),
  positions: z.enum(['absolute', 'rope-mixed', 'rope-axial']).optional().describe('positions of patches'),
  decoder: z
    .enum(['plain', 'movq'])
    .optional()
    .describe('movq: latent tokens are modulated by the latents, as in the published model'),
  mask: mask
    .optional()
    .describe('share of patches hidden from the encoder, drawn per batch; default 0.4-0.6 for maetok, off for others'),
  aux: words
    .optional()
    .describe('what auxiliary decoders predict: hog, pixels, edges or none; default hog for maetok, none for others'),
  auxWidth: count.optional().describe('width of the auxiliary decoders'),
  auxDepth: count.optional().describe('blocks of the auxiliary decoders'),
  auxWeight: nonNegative.default(1).describe('weight of each auxiliary loss'),
  auxOver: z.enum(['masked', 'all']).default('masked').describe('patches that auxiliary losses are averaged over'),
  l2: nonNegative.default(1).describe('weight of the squared error of the pixels'),
  l1: nonNegative.default(0).describe('weight of their absolute error'),
  kl: nonNegative.default(1e-6).describe('weight of the KL divergence, summed over the latents (kl-vae)'),
  augmentation: z
    .enum(['none', 'flip', 'random-crop'])
    .optional()
    .describe('random-crop: the published one; default from 64 pixels on, else flip'),
  heldOut: positive.max(0.9).default(0.1).describe('share kept for validation where the data have no such part'),
  evaluationImages: count.default(256).describe('validation pictures per evaluation'),
});

export type TokenizerOptions = z.output<typeof tokenizerOptions>;

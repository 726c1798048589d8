import { z } from 'zod';
import { explained, namesOf } from '../../../base/index.js';
import { count, list, nonNegative, whole } from '../../../base/options.js';
import { NOISE_DISTRIBUTIONS, RAE_DECODERS } from '../../../tokenizers/rae/names.js';
import { latentStatistics } from '../../../tokenizers/options.js';
import { fidelity, trainingImages } from '../tokenizer-options.js';

/** Flags of `maetok train rae-decoder`. */
export const raeDecoderOptions = z.object({
  encoder: z
    .string()
    .describe('frozen encoder: a file, a folder or hf:owner/name of DINOv2, DINOv3, SigLIP2 or MAE, in any spelling'),
  ...trainingImages,
  preset: z.enum(RAE_DECODERS).default('tiny').describe('size of the decoder: ViT-B, ViT-L, the published ViT-XL'),
  imageSize: count
    .optional()
    .describe('side of the images in pixels; the encoder sees them resized to as many patches'),
  patchSize: count.optional().describe('side of a patch of the decoder in pixels'),
  width: count.optional().describe('width of the decoder'),
  depth: count.optional().describe('blocks of the decoder'),
  heads: count.optional().describe('attention heads of the decoder'),
  layers: list(z.array(whole))
    .optional()
    .describe('RAEv2: blocks of the encoder, from 0, whose normalised tokens are averaged; default: the last one’s'),
  noiseTau: nonNegative
    .default(0.8)
    .describe('τ: scale of the levels σ of the noise that is added to an image’s latents'),
  noiseDistribution: z
    .enum(namesOf(NOISE_DISTRIBUTIONS))
    .default('uniform')
    .describe(`how σ is drawn for each image: ${explained(NOISE_DISTRIBUTIONS)}`),
  latentStatistics: latentStatistics.describe(
    'file of the mean and standard deviation that normalise the latents; default: measured, per position, on the images of the training',
  ),
  l1: nonNegative
    .default(0.5)
    .describe('weight of the absolute error of the pixels in [-1, 1]; 0.5 is the authors’ 1 of pixels in [0, 1]'),
  l2: nonNegative.default(0).describe('weight of the squared error of the pixels'),
  ...fidelity,
  discWeight: nonNegative.default(0.75).describe('weight of the adversarial loss'),
  discStart: whole.optional().describe('first step of the discriminator; default 0 for tiny, 20000 for others'),
  discConsistency: fidelity.discConsistency.unwrap().default(0),
  lecam: fidelity.lecam.unwrap().default(0),
  perceptualRamp: whole.default(0).describe('steps over which the perceptual weight grows from 0'),
  recompute: z
    .boolean()
    .default(false)
    .describe('gradient checkpointing: recompute blocks in the backward pass instead of storing their activations'),
});

export type RaeDecoderOptions = z.output<typeof raeDecoderOptions>;

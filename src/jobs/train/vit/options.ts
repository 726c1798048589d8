import { z } from 'zod';
import { count, counts, list, nonNegative, positive, whole, words } from '../../../base/options.js';
import { AUX_OVER, DECODERS, IMAGE_TARGET_NAMES, POSITIONS, VIT_SIZES } from '../../../tokenizers/vit/names.js';
import { fidelity, trainingImages } from '../tokenizer-options.js';

const mask = z.preprocess(
  value => (typeof value === 'number' ? String(value) : value),
  z.string().regex(/^(off|0?\.\d+(-0?\.\d+)?)$/, 'must be off, one share such as 0.5, or a range such as 0.4-0.6'),
);

const named = list(z.array(z.string().regex(/^[\w-]+=.+$/, 'must be NAME=SPEC, several with commas'))).default([]);

const weights = z.preprocess(
  value => (typeof value === 'number' ? String(value) : value),
  list(
    z.array(
      z.string().regex(/^([\w-]+=)?\d+(\.\d+)?(e-?\d+)?$/, 'must be a number, or NAME=NUMBER, several with commas'),
    ),
  ),
);

/** Flags of `maetok train ae | kl-vae | maetok`. */
export const vitTrainingOptions = z.object({
  ...trainingImages,
  preset: z.enum(VIT_SIZES).default('tiny').describe('size of the model'),
  imageSize: count.optional().describe('side of the images in pixels'),
  patchSize: count.optional().describe('side of a patch in pixels'),
  latentTokens: whole.optional().describe('learned latent tokens; 0: the image tokens are the latents'),
  latentChannels: count.optional().describe('numbers per latent token'),
  width: count.optional().describe('width of encoder and decoder'),
  depth: count.optional().describe('blocks of the encoder, and of the decoder'),
  heads: count.optional().describe('attention heads of encoder and decoder'),
  layerScale: positive
    .optional()
    .describe('initial value of LayerScale; default 1 below 12 blocks, otherwise 1e-5 as published'),
  positions: z.enum(POSITIONS).optional().describe('position embedding of the patches'),
  decoder: z
    .enum(DECODERS)
    .optional()
    .describe('movq: latent tokens are modulated by the latents, as in the published model'),
  mask: mask
    .optional()
    .describe(
      'fraction of patches hidden from the encoder, drawn per batch; default 0.4-0.6 for maetok, off for others',
    ),
  aux: words
    .optional()
    .describe(
      `what auxiliary decoders predict: ${IMAGE_TARGET_NAMES.join(', ')}, names of --teacher, or none; default hog for maetok, none for others`,
    ),
  teacher: named.describe(
    'features to predict, NAME=SPEC: a frozen encoder (vit:WEIGHTS[?size=…&layer=…], onnx:FILE, or any --tokenizer) or latents extracted with one (a folder, .npz)',
  ),
  auxWidth: count.optional().describe('width of the auxiliary decoders'),
  auxDepth: count.optional().describe('blocks of the auxiliary decoders'),
  auxWeight: weights.default(['1']).describe('weight of each auxiliary loss: 1, or hog=1,dinov2=0.5'),
  auxOver: z.enum(AUX_OVER).default('masked').describe('patches over which auxiliary losses are averaged'),
  l2: nonNegative.default(1).describe('weight of the squared error of the pixels'),
  l1: nonNegative.default(0).describe('weight of the absolute error of the pixels'),
  kl: nonNegative.default(1e-6).describe('weight of the KL divergence, summed over the latents (kl-vae)'),
  ...fidelity,
  align: z
    .string()
    .optional()
    .describe(
      'align latents with features, token by token, as in VA-VAE; takes a SPEC as --teacher does, without a name',
    ),
  alignWeight: positive
    .default(0.1)
    .describe('weight of the alignment, multiplied by the ratio of gradients at the encoder’s last layer'),
  alignMargins: list(z.tuple([nonNegative, nonNegative]))
    .default([0.5, 0.25])
    .describe('margins below which cosine and distance are not penalised'),
  from: z.string().optional().describe('run to start from: its network and its weights'),
  stage: z
    .enum(['all', 'decoder'])
    .default('all')
    .describe('decoder: freeze the encoder and lower the mask ratio to 0, to recover fidelity; needs --from'),
  sizes: counts
    .optional()
    .describe('train at several image sizes, e.g. 256,512; each batch has one size; default: the model’s own'),
  recompute: z
    .boolean()
    .default(false)
    .describe(
      'gradient checkpointing: recompute blocks in the backward pass instead of storing their activations; less memory, more time',
    ),
});

export type VitTrainingOptions = z.output<typeof vitTrainingOptions>;

import { z } from 'zod';
import { count, counts, decoding, list, nonNegative, positive, whole, words } from '../base/schemas.js';
// Not through the room's door, which would wake the engine for --help.
import { CRITICS } from '../tokenizers/losses/names.js';
import { VIT_SIZES, type VitSize } from '../tokenizers/vit/presets.js';

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
    .describe('first value of LayerScale; default 1 below 12 blocks, 1e-5 from there on as published'),
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
    .describe(
      'what auxiliary decoders predict: hog, pixels, edges, names of --teacher, or none; default hog for maetok, none for others',
    ),
  teacher: named.describe(
    'features to predict, NAME=SPEC: a frozen encoder (onnx:FILE, or any --tokenizer) or latents extracted with one (a folder, .npz)',
  ),
  auxWidth: count.optional().describe('width of the auxiliary decoders'),
  auxDepth: count.optional().describe('blocks of the auxiliary decoders'),
  auxWeight: weights.default(['1']).describe('weight of each auxiliary loss: 1, or hog=1,dinov2=0.5'),
  auxOver: z.enum(['masked', 'all']).default('masked').describe('patches that auxiliary losses are averaged over'),
  l2: nonNegative.default(1).describe('weight of the squared error of the pixels'),
  l1: nonNegative.default(0).describe('weight of their absolute error'),
  kl: nonNegative.default(1e-6).describe('weight of the KL divergence, summed over the latents (kl-vae)'),
  perceptual: nonNegative.optional().describe('weight of the perceptual loss; default 0 for tiny, 1 for others'),
  lpips: z
    .string()
    .optional()
    .describe('LPIPS’s weights: one file, or VGG16_FILE,LIN_FILE; without, differences of image gradients stand in'),
  perceptualRamp: whole.optional().describe('steps over which it grows from 0; default 0 for tiny, 10000 for others'),
  disc: z.enum(CRITICS).default('none').describe('discriminator: patchgan, or dino (heads on a frozen DINO ViT)'),
  discBackbone: z.string().optional().describe('weights of the DINO ViT'),
  discLoss: z.enum(['hinge', 'non-saturating']).default('hinge').describe('adversarial loss'),
  discWeight: nonNegative.default(0.4).describe('weight of the adversarial loss'),
  discAdaptive: z
    .boolean()
    .default(true)
    .describe('balance that weight at the decoder’s last layer; --no-disc-adaptive takes it as it is'),
  discStart: whole.optional().describe('first step of the discriminator; default 0 for tiny, 30000 for others'),
  discLr: positive.optional().describe('its learning rate; default --lr'),
  discWidth: count.default(64).describe('channels of a PatchGAN’s first layer'),
  discLayers: count.default(3).describe('layers of a PatchGAN that halve the picture'),
  discAugment: z.boolean().default(true).describe('change what it sees: colour, translation, cut-out'),
  discConsistency: nonNegative
    .default(4)
    .describe('weight of the difference of its judgments of plain and strongly changed pictures'),
  lecam: nonNegative.default(0.001).describe('weight of the LeCam regularisation'),
  align: z
    .string()
    .optional()
    .describe('draw latents towards features, token by token, as VA-VAE’s are: what --teacher takes, without a name'),
  alignWeight: positive
    .default(0.1)
    .describe('weight of that, times the ratio of gradients at the encoder’s last layer'),
  alignMargins: list(z.tuple([nonNegative, nonNegative]))
    .default([0.5, 0.25])
    .describe('cosine and distance that cost nothing'),
  from: z.string().optional().describe('run to start from: its network and its weights'),
  stage: z
    .enum(['all', 'decoder'])
    .default('all')
    .describe('decoder: the encoder is frozen and the mask ratio falls to none, to win back fidelity; needs --from'),
  sizes: counts
    .optional()
    .describe('train on several sides in turns, e.g. 256,512; each batch is of one; default: the model’s own'),
  recompute: z
    .boolean()
    .default(false)
    .describe('compute blocks again in the backward pass instead of keeping their insides: less memory, more time'),
  augmentation: z
    .enum(['none', 'flip', 'random-crop'])
    .optional()
    .describe('random-crop: the published one; default from 64 pixels on, else flip'),
  ...decoding,
  heldOut: positive.max(0.9).default(0.1).describe('share kept for validation where the data have no such part'),
  evaluationImages: count.default(256).describe('validation pictures per evaluation'),
});

export type TokenizerOptions = z.output<typeof tokenizerOptions>;

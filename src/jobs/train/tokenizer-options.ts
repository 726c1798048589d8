import { z } from 'zod';
import { explained, namesOf } from '../../base/index.js';
import { count, grouped, nonNegative, positive, whole } from '../../base/options.js';
import { AUGMENTATIONS } from '../../data/names.js';
import { imageKeys } from '../../data/options.js';
import { decoding } from '../../io/options.js';
import { ADVERSARIAL, CRITICS } from '../../tokenizers/losses/names.js';

/* Flags that every training of a tokenizer has. */

/** Its images. */
export const trainingImages = grouped('Images', {
  data: z.string().describe('images to train on: a folder, .npz, .tar or synthetic:scenes'),
  augmentation: z
    .enum(AUGMENTATIONS)
    .optional()
    .describe('random-crop: as published; default: random-crop for images of 64 pixels or more, else flip'),
  ...imageKeys,
  ...decoding,
  heldOut: positive.max(0.9).default(0.1).describe('fraction held out for validation if the data have no such part'),
  evaluationImages: count.default(256).describe('validation images per evaluation'),
});

/** The losses besides the pixels' own. */
export const fidelity = grouped('Losses', {
  perceptual: nonNegative.optional().describe('weight of the perceptual loss; default 0 for tiny, 1 for others'),
  lpips: z
    .string()
    .optional()
    .describe(
      'LPIPS’s weights: one file, or VGG16_FILE,LIN_FILE; without them, differences of image gradients are used',
    ),
  perceptualRamp: whole
    .optional()
    .describe('steps over which the perceptual weight grows from 0; default 0 for tiny, 10000 for others'),
  disc: z.enum(namesOf(CRITICS)).default('none').describe(explained(CRITICS)),
  discBackbone: z.string().optional().describe('weights of the DINO ViT'),
  discLoss: z.enum(ADVERSARIAL).default('hinge').describe('adversarial loss'),
  discWeight: nonNegative.default(0.4).describe('weight of the adversarial loss'),
  discAdaptive: z
    .boolean()
    .default(true)
    .describe(
      'balance --disc-weight by the gradients at the decoder’s last layer; --no-disc-adaptive uses it unchanged',
    ),
  discStart: whole.optional().describe('first step of the discriminator; default 0 for tiny, 30000 for others'),
  discLr: positive.optional().describe('learning rate of the discriminator; default: --lr'),
  discWidth: count.default(64).describe('channels of a PatchGAN’s first layer'),
  discLayers: count.default(3).describe('layers of a PatchGAN that halve the image'),
  discAugment: z.boolean().default(true).describe('augment the discriminator’s inputs: colour, translation, cutout'),
  discConsistency: nonNegative
    .default(4)
    .describe(
      'weight of the consistency loss between the discriminator’s outputs for plain and strongly augmented images',
    ),
  lecam: nonNegative.default(0.001).describe('weight of the LeCam regularisation'),
});

export type TrainingImagesOptions = Output<typeof trainingImages>;
export type FidelityOptions = Output<typeof fidelity>;
type Output<Shape extends z.ZodRawShape> = z.output<z.ZodObject<Shape>>;

import { z } from 'zod';
import { DECODERS, POSITIONS, type DecoderKind } from './names.js';

/*
 * The family of the paper's AE, KL-VAE and MAETok: a ViT encoder with learned latent tokens and a ViT decoder with
 * learned mask tokens. The three share one backbone; they differ in the posterior and in what is added for training.
 */

const size = z.number().int().positive();

/** One stack of transformer blocks. */
const stack = z.strictObject({ width: size, depth: size, heads: size });

/** Everything that the forward passes need besides the weights; plain values, as they stand in a run's config.yaml. */
export const vitConfigSchema = z
  .strictObject({
    imageSize: size.describe('side of the images in pixels'),
    patchSize: size,
    latentTokens: z.number().int().nonnegative().describe('0: the image tokens are the latents'),
    latentChannels: size,
    posterior: z
      .enum(['none', 'gaussian'])
      .default('none')
      .describe('gaussian: the encoder gives mean and log-variance'),
    positions: z
      .enum(POSITIONS)
      .default('rope-mixed')
      .describe('of patches: learned, or rotations with learned (mixed) or fixed (axial) frequencies'),
    ropeTheta: z.number().positive().default(10),
    encoder: stack,
    decoder: stack.extend({
      kind: z.enum(DECODERS).default('plain').describe('movq: latent tokens are modulated by the latents'),
      classToken: z.boolean().default(true),
    }),
    maskToken: z.boolean().default(false).describe('whether the encoder has one; needed for masking'),
    aux: z
      .strictObject({
        width: size.default(192),
        depth: size.default(3),
        heads: size.default(3),
        kind: z.enum(DECODERS).default('movq'),
        classToken: z.boolean().default(true),
        targets: z.record(z.string(), size).describe('auxiliary decoders: target → numbers per patch'),
      })
      .optional()
      .describe('shallow decoders that predict features in training'),
    codebook: z
      .strictObject({
        parts: size.describe('parts of the latent tokens, each with codewords of its own'),
        codewords: size.describe('of each part'),
        temperature: z.number().positive(),
        unitLength: z
          .boolean()
          .describe('whether latents and codewords are compared, and codewords mixed, at length 1'),
      })
      .optional()
      .describe('SoftVQ: latents are mixtures of codewords'),
    latentMean: z.number().default(0).describe('latents given out are (z − latentMean) / latentStd'),
    latentStd: z.number().positive().default(1),
  })
  .superRefine((config, context) => {
    const say = (message: string): void => context.addIssue({ code: 'custom', message });
    const { imageSize, patchSize, encoder, decoder, aux, positions, codebook } = config;
    if (codebook && tokenCount(config) % codebook.parts !== 0)
      say(`${tokenCount(config)} latent tokens do not divide into the ${codebook.parts} parts of the codebook`);
    if (imageSize % patchSize !== 0) say(`image size ${imageSize} is no multiple of the patch size ${patchSize}`);
    for (const [name, { width, heads }] of Object.entries({ encoder, decoder, ...(aux ? { aux } : {}) })) {
      const per = width / heads;
      const unit = positions === 'absolute' ? 1 : 4;
      if (per % unit !== 0)
        say(`${name}: ${heads} heads of width ${width} give ${per} numbers a head, must be a multiple of ${unit}`);
    }
  });

export type VitConfig = z.output<typeof vitConfigSchema>;
export type Codebook = NonNullable<VitConfig['codebook']>;
export type Stack = z.output<typeof stack>;

type Sides = Pick<VitConfig, 'imageSize' | 'patchSize'>;

/** Patches along one side of the images. */
export const gridSide = ({ imageSize, patchSize }: Sides): number => imageSize / patchSize;

/** Latent tokens of one image: the learned ones, or one per patch. */
export const tokenCount = (config: Sides & Pick<VitConfig, 'latentTokens'>): number =>
  config.latentTokens || gridSide(config) ** 2;

/** Numbers per latent token that the encoder gives: with a posterior, mean and log-variance. */
export const encodedChannels = ({ posterior, latentChannels }: VitConfig): number =>
  posterior === 'gaussian' ? 2 * latentChannels : latentChannels;

/** A decoder of this model: the pixel decoder (`decoder`) or an auxiliary one (`decoder_hog`), with its neighbours' keys. */
export interface DecoderSpec extends Stack {
  /** Prefix of its keys. */
  prefix: string;
  /** Prefix of the linear layer before it. */
  lift: string;
  /** Prefix of the linear layer after it. */
  readout: string;
  kind: DecoderKind;
  classToken: boolean;
  /** Numbers per patch that it predicts. */
  outputs: number;
  /** Published auxiliary backbones carry a classifier that nothing uses. */
  unusedHead: boolean;
}

/** The pixel decoder. Its outputs are a patch's pixels: row, column, channel (fastest). */
export const pixelDecoder = ({ decoder, patchSize }: VitConfig): DecoderSpec => ({
  ...decoder,
  prefix: 'decoder',
  lift: 'post_quant_conv',
  readout: 'decoder.to_pixel.model',
  outputs: 3 * patchSize ** 2,
  unusedHead: false,
});

/** The auxiliary decoder of a target. */
export function auxDecoder({ aux }: VitConfig, target: string): DecoderSpec {
  if (!aux) throw new Error('this tokenizer has no auxiliary decoders');
  const { targets, ...shape } = aux;
  return {
    ...shape,
    prefix: `decoder_${target}`,
    lift: `post_quant_conv_${target}`,
    readout: `to_pixel_${target}`,
    outputs: targets[target],
    unusedHead: true,
  };
}

/** All decoders, the pixel decoder first. */
export const decoders = (config: VitConfig): DecoderSpec[] => [
  pixelDecoder(config),
  ...Object.keys(config.aux?.targets ?? {}).map(target => auxDecoder(config, target)),
];

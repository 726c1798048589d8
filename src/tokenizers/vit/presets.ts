import type { ModelPreset } from '../../nn/index.js';
import { tokenCount, vitConfigSchema, type Stack, type VitConfig } from './config.js';
import { VIT_MODELS, VIT_SIZES, type VitModel, type VitSize } from './names.js';
import { isBuffer, unusedShapes, vitShapes } from './shapes.js';

interface Size {
  image: number;
  patch: number;
  tokens: number;
  channels: number;
  /** Decoders: the published kind, or, where steps are few, the one that learns faster. */
  decoder: VitConfig['decoder']['kind'];
  /** Encoder and decoder. */
  stack: Stack;
  /** Auxiliary decoders. */
  aux: Stack;
}

const PUBLISHED_AUX: Stack = { width: 192, depth: 3, heads: 3 };

// prettier-ignore
const SIZES = {
  //        pixels      patch      latents     numbers       ViT
  tiny:  { image:  32, patch:  8, tokens:  16, channels: 16, decoder: 'plain', stack: { width:   96, depth:  3, heads:  3 },
           aux: { width: 64, depth: 1, heads: 2 } },
  small: { image: 256, patch: 16, tokens: 128, channels: 32, decoder: 'movq',  stack: { width:  384, depth: 12, heads:  6 }, aux: PUBLISHED_AUX },
  base:  { image: 256, patch: 16, tokens: 128, channels: 32, decoder: 'movq',  stack: { width:  768, depth: 12, heads: 12 }, aux: PUBLISHED_AUX },
  large: { image: 256, patch: 16, tokens: 128, channels: 32, decoder: 'movq',  stack: { width: 1024, depth: 24, heads: 16 }, aux: PUBLISHED_AUX },
} satisfies Record<VitSize, Size>;

/** A model's backbone at a preset size: the layout of the published MAETok for all three. */
export function vitPreset(model: VitModel, size: VitSize): VitConfig {
  const { image, patch, tokens, channels, decoder, stack } = SIZES[size];
  return vitConfigSchema.parse({
    imageSize: image,
    patchSize: patch,
    latentTokens: tokens,
    latentChannels: channels,
    posterior: model === 'kl-vae' ? 'gaussian' : 'none',
    encoder: stack,
    decoder: { ...stack, kind: decoder, classToken: false },
    maskToken: model === 'maetok',
  });
}

/** The auxiliary decoders that go with a preset, of the pixel decoder's kind. */
export const auxPreset = (size: VitSize): Stack & Pick<Size, 'decoder'> => ({
  ...SIZES[size].aux,
  decoder: SIZES[size].decoder,
});

const BASE = vitPreset('maetok', 'base');
const LARGE = vitPreset('maetok', 'large');
const LEARNED: Partial<VitConfig> = { positions: 'absolute', decoder: { ...BASE.decoder, classToken: true } };

/** The published models, and those that the published code builds under other options. */
const PUBLISHED: Record<string, { describe: string; config: VitConfig }> = {
  'maetok-b-128': { describe: 'MAETok at 256 pixels, as published', config: BASE },
  'maetok-b-128-512': { describe: 'MAETok at 512 pixels, as published', config: { ...BASE, imageSize: 512 } },
  'maetok-b-128-plain': {
    describe: 'MAETok with a plain decoder and its class token',
    config: { ...BASE, decoder: { ...BASE.decoder, kind: 'plain', classToken: true } },
  },
  'softvq-l-64': {
    describe: 'SoftVQ-VAE: learned positions, plain decoder, latents mixed of 4 × 8192 codewords',
    config: {
      ...BASE,
      ...LEARNED,
      latentTokens: 64,
      maskToken: false,
      encoder: LARGE.encoder,
      decoder: { ...LARGE.decoder, kind: 'plain', classToken: true },
      codebook: { parts: 4, codewords: 8192, temperature: 0.07, unitLength: true },
      latentMean: 0.00097,
      latentStd: 0.0726,
    },
  },
  'ae-vit-b-128': {
    describe: 'AE with learned positions, what the authors’ released trainer builds',
    config: { ...BASE, ...LEARNED },
  },
  'kl-vit-b-128': {
    describe: 'the authors’ KL-VAE: learned positions, plain decoder',
    config: {
      ...BASE,
      ...LEARNED,
      posterior: 'gaussian',
      maskToken: false,
      decoder: { ...BASE.decoder, kind: 'plain', classToken: true },
    },
  },
};

/** Rows of `maetok models`. Published ones count the tensors that their files hold without using them. */
export const vitPresets: ModelPreset[] = [
  ...Object.entries(PUBLISHED).map(([name, { describe, config }]) => ({
    ...row(name, describe, config, () => ({ ...vitShapes(config), ...unusedShapes(config) })),
    licence: 'unknown',
  })),
  ...VIT_MODELS.flatMap(model =>
    VIT_SIZES.map(size => {
      const config = vitPreset(model, size);
      return row(`${model}-${size}`, `preset ${size} of train ${model}`, config, () => vitShapes(config));
    }),
  ),
];

function row(name: string, describe: string, config: VitConfig, shapes: ModelPreset['shapes']): ModelPreset {
  const { imageSize, latentChannels: channels } = config;
  return { name, kind: 'tokenizer', describe, imageSize, tokens: tokenCount(config), channels, shapes, isBuffer };
}

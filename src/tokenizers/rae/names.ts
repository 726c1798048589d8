/** Sizes of a decoder to train: a small one, and those of ViT-B, ViT-L and of the published ViT-XL. */
export const RAE_DECODERS = ['tiny', 'base', 'large', 'xl'] as const;
export type RaeDecoderName = (typeof RAE_DECODERS)[number];

/** How the level σ of the noise on an image's latents is drawn in training. */
export const NOISE_DISTRIBUTIONS = {
  uniform: 'uniform in [0, τ], as RAE’s authors’ code draws it',
  'half-normal': '|N(0, τ²)|, as their paper says',
};
export type NoiseDistribution = keyof typeof NOISE_DISTRIBUTIONS;

/** The paper's three tokenizers: one backbone, trained in three ways. */
export const VIT_MODELS = ['ae', 'kl-vae', 'maetok'] as const;
export type VitModel = (typeof VIT_MODELS)[number];

/** Preset sizes of the backbone. */
export const VIT_SIZES = ['tiny', 'small', 'base', 'large'] as const;
export type VitSize = (typeof VIT_SIZES)[number];

/** Of patches: learned, or rotations with learned (mixed) or fixed (axial) frequencies. */
export const POSITIONS = ['absolute', 'rope-mixed', 'rope-axial'] as const;

/** A decoder of tokens alone, or one whose latent tokens are modulated by the latents (movq), as published. */
export const DECODERS = ['plain', 'movq'] as const;
export type DecoderKind = (typeof DECODERS)[number];

/** What auxiliary decoders may predict that is made of the images alone. */
export const IMAGE_TARGET_NAMES = ['hog', 'pixels', 'edges'] as const;
export type ImageTargetName = (typeof IMAGE_TARGET_NAMES)[number];

/** The patches over which auxiliary losses are averaged. */
export const AUX_OVER = ['masked', 'all'] as const;
export type AuxOver = (typeof AUX_OVER)[number];

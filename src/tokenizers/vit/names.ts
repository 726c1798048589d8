/** The paper's three tokenizers: one backbone, trained in three ways. */
export const VIT_MODELS = ['ae', 'kl-vae', 'maetok'] as const;
export type VitModel = (typeof VIT_MODELS)[number];

/** Preset sizes of the backbone. */
export const VIT_SIZES = ['tiny', 'small', 'base', 'large'] as const;
export type VitSize = (typeof VIT_SIZES)[number];

/** How a network of ONNX takes images. */
export const IMAGE_LAYOUTS = ['nchw', 'nhwc'] as const;

/** What a frozen vision transformer is asked for: single tokens, groups of them, or one vector made of them. */
export const VIT_TOKENS = ['class', 'registers', 'patches', 'all', 'mean', 'pooled', 'embedding'] as const;
export type VitTokens = (typeof VIT_TOKENS)[number];

import { UserError } from '../../base/index.js';

/** One stack of transformer blocks. */
export interface Stack {
  width: number;
  depth: number;
  heads: number;
  /** Width of the SwiGLU's hidden layer. */
  hidden: number;
}

/** l-DeTok (Yang et al. 2025): one latent token per patch, under a Gaussian posterior. */
export interface DetokConfig {
  patchSize: number;
  /** Patches along one side of the images. */
  side: number;
  channels: number;
  encoder: Stack;
  decoder: Stack;
}

interface Shaped {
  shape: number[];
}

/** Keys by which the family is recognised. */
export const isDetok = (keys: readonly string[]): boolean =>
  keys.includes('encoder.latent_head.weight') && keys.includes('decoder.decoder_embed.weight');

/** The sizes that the weights show; the published files have no config. */
export function readDetokConfig(name: string, weights: Record<string, Shaped>): DetokConfig {
  const side = (key: string, axis: number): number => {
    if (!Object.hasOwn(weights, key)) throw new UserError(`${name}: tensor '${key}' is missing; is the file complete?`);
    return weights[key].shape[axis];
  };
  const stack = (prefix: string): Stack => {
    const width = side(`${prefix}.positional_embedding`, 2);
    let depth = 0;
    while (Object.hasOwn(weights, `${prefix}.transformer.${depth}.attn.qkv.weight`)) depth++;
    return { width, depth, heads: headsOf(width), hidden: side(`${prefix}.transformer.0.mlp.w3.weight`, 1) };
  };
  return {
    patchSize: side('encoder.patch_embed.0.weight', 2),
    side: Math.sqrt(side('encoder.positional_embedding', 1)),
    channels: side('decoder.decoder_embed.weight', 1),
    encoder: stack('encoder'),
    decoder: stack('decoder'),
  };
}

/** 64 numbers a head, but 16 heads in the two largest sizes (the authors' SIZE_DICT). */
const headsOf = (width: number): number => (width > 1024 ? 16 : Math.ceil(width / 64));

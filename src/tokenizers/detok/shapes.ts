import { convShapes, linearShapes, prefixed, repeatedShapes, type Shapes } from '../../nn/index.js';
import type { DetokConfig, Stack } from './config.js';

/** Every key of the state dict with its shape. */
export function detokShapes({ patchSize, side, channels, encoder, decoder }: DetokConfig): Shapes {
  return {
    ...prefixed(
      {
        ...prefixed(convShapes(3, encoder.width, patchSize), 'patch_embed.0'),
        ...stackShapes(encoder, side),
        ...prefixed(linearShapes(encoder.width, 2 * channels), 'latent_head'),
      },
      'encoder',
    ),
    ...prefixed(
      {
        ...prefixed(linearShapes(channels, decoder.width), 'decoder_embed'),
        // Stands for latents that training drops; decoding all of them has no use for it.
        mask_token: [1, 1, decoder.width],
        ...stackShapes(decoder, side),
        ...prefixed(convShapes(decoder.width, 3 * patchSize ** 2, 1), 'ffn.1'),
        ...prefixed(convShapes(3, 3, 3), 'conv_out'),
      },
      'decoder',
    ),
  };
}

const stackShapes = (stack: Stack, side: number): Shapes => ({
  positional_embedding: [1, side * side, stack.width],
  'ln_pre.weight': [stack.width],
  ...repeatedShapes('transformer', stack.depth, block(stack)),
  'ln_post.weight': [stack.width],
});

const block = ({ width, hidden }: Stack): Shapes => ({
  'norm1.weight': [width],
  'norm2.weight': [width],
  ...prefixed(linearShapes(width, 3 * width), 'attn.qkv'),
  ...prefixed(linearShapes(width, width), 'attn.proj'),
  ...prefixed(linearShapes(width, 2 * hidden), 'mlp.w12'),
  ...prefixed(linearShapes(hidden, width), 'mlp.w3'),
});

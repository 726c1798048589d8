import { convShapes, linearShapes, normShapes, prefixed, repeatedShapes, type Shapes } from '../../nn/index.js';
import type { VtpConfig, VtpStack } from './config.js';

/** Every key of trunk and pixel decoder with its shape; `periods` are those of the rotary positions. */
export function vtpShapes({ encoder, decoder, patchSize, channels, storageTokens, upscale }: VtpConfig): Shapes {
  return {
    ...prefixed(
      {
        cls_token: [1, 1, encoder.width],
        ...(storageTokens > 0 ? { storage_tokens: [1, storageTokens, encoder.width] } : {}),
        // Only masked training uses it.
        mask_token: [1, encoder.width],
        ...prefixed(convShapes(3, encoder.width, patchSize), 'patch_embed.proj'),
        ...stackShapes(encoder),
        ...(channels === encoder.width ? {} : { 'feature_bottleneck.weight': [channels, encoder.width] }),
      },
      'trunk',
    ),
    ...prefixed(
      {
        ...prefixed(convShapes(channels, decoder.width, 1), 'proj_in'),
        ...stackShapes(decoder),
        ...prefixed(convShapes(decoder.width, 3 * upscale ** 2, 1), 'proj_out'),
      },
      'pixel_decoder',
    ),
  };
}

/** Tables that are stored but are not parameters. */
export const isBuffer = (key: string): boolean => key.endsWith('.rope_embed.periods');

function stackShapes(stack: VtpStack): Shapes {
  return {
    'rope_embed.periods': [stack.width / stack.heads / 4],
    ...repeatedShapes('blocks', stack.depth, block(stack)),
    ...prefixed(norm(stack), 'norm'),
  };
}

const norm = ({ norm: kind, width }: VtpStack): Shapes => (kind === 'rms' ? { weight: [width] } : normShapes(width));

function block(stack: VtpStack): Shapes {
  const { width, heads, hidden, gated, qkNorm, layerScale } = stack;
  return {
    ...prefixed(norm(stack), 'norm1'),
    ...prefixed(norm(stack), 'norm2'),
    ...prefixed(linearShapes(width, 3 * width), 'attn.qkv'),
    ...prefixed(linearShapes(width, width), 'attn.proj'),
    ...(qkNorm ? { 'attn.q_norm.weight': [width / heads], 'attn.k_norm.weight': [width / heads] } : {}),
    ...(gated ? gatedMlp(width, hidden) : plainMlp(width, hidden)),
    ...(layerScale ? { 'ls1.gamma': [width], 'ls2.gamma': [width] } : {}),
  };
}

const gatedMlp = (width: number, hidden: number): Shapes => ({
  ...prefixed(linearShapes(width, hidden), 'mlp.w1'),
  ...prefixed(linearShapes(width, hidden), 'mlp.w2'),
  ...prefixed(linearShapes(hidden, width), 'mlp.w3'),
});

const plainMlp = (width: number, hidden: number): Shapes => ({
  ...prefixed(linearShapes(width, hidden), 'mlp.fc1'),
  ...prefixed(linearShapes(hidden, width), 'mlp.fc2'),
});

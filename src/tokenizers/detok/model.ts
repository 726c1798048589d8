import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import {
  attend,
  children,
  conv2d,
  linear,
  patchify,
  patchWeight,
  residual,
  rmsNorm,
  rotated,
  swiGlu,
  under,
  unpatchify,
  type Params,
  type Rotation,
} from '../../nn/index.js';
import type { DetokConfig, Stack } from './config.js';

/** images [n, h, w, 3] → moments [n, patches, 2 · channels], mean first. */
export function encodeMoments(config: DetokConfig, params: Params, images: Tensor4D): Tensor3D {
  return tf.tidy(() => {
    const own = under(params, 'encoder');
    const { weight, bias } = under(own, 'patch_embed.0');
    const patches = linear({ weight: patchWeight(weight), bias }, patchify(images, config.patchSize));
    return linear(under(own, 'latent_head'), throughStack(config, config.encoder, own, patches)) as Tensor3D;
  });
}

/** latents [n, patches, channels] → images [n, h, w, 3], not clamped. */
export function decodeLatents(config: DetokConfig, params: Params, latents: Tensor3D): Tensor4D {
  return tf.tidy(() => {
    const own = under(params, 'decoder');
    const tokens = throughStack(config, config.decoder, own, linear(under(own, 'decoder_embed'), latents));
    const { weight, bias } = under(own, 'ffn.1');
    const patches = linear({ weight: weight.reshape(weight.shape.slice(0, 2)), bias }, tokens);
    return conv2d(under(own, 'conv_out'), unpatchify(patches, config.patchSize, config.side, config.side));
  });
}

function throughStack({ side }: DetokConfig, { width, heads }: Stack, params: Params, tokens: Tensor): Tensor {
  const turn = gridTables(width / heads, side);
  const start = rmsNorm(under(params, 'ln_pre'), tokens.add(params.positional_embedding));
  const end = children(params, 'transformer').reduce(
    (x, block) => tf.tidy(() => transformerBlock(block, x, heads, turn)),
    start,
  );
  return rmsNorm(under(params, 'ln_post'), end);
}

function transformerBlock(params: Params, x: Tensor, heads: number, turn: Rotation): Tensor {
  const middle = residual(x, turnedAttention(under(params, 'attn'), rmsNorm(under(params, 'norm1'), x), heads, turn));
  return residual(middle, swiGlu(under(params, 'mlp'), rmsNorm(under(params, 'norm2'), middle)));
}

/** Self-attention of its own, because what it does to queries and keys is no rotation (see `gridTables`). */
function turnedAttention(params: Params, x: Tensor, heads: number, turn: Rotation): Tensor {
  const [n, t, c] = x.shape as [number, number, number];
  const perHead = tf.transpose(linear(under(params, 'qkv'), x).reshape([n, t, 3, heads, c / heads]), [2, 0, 3, 1, 4]);
  const [q, k, v] = tf.unstack(perHead);
  const mixed = tf.transpose(attend(rotated(turn, q), rotated(turn, k), v), [0, 2, 1, 3]);
  return linear(under(params, 'proj'), mixed.reshape([n, t, c]));
}

const LARGEST_FREQUENCY = 7;
const SMALLEST_FREQUENCY = 7e-4;

/**
 * Cosines and sines [1, side², d] of coordinates in [0, 1]: the first half of a head turns by rows, the rest by columns,
 * each half by d/4 frequencies twice over. The authors pair adjacent numbers, so that the two of a pair turn by
 * neighbouring frequencies instead of one; their weights have learned it like that.
 */
function gridTables(d: number, side: number): Rotation {
  const quarter = Math.floor(d / 4);
  const last = Math.max(1, quarter - 1);
  const frequencies = Array.from(
    { length: quarter },
    (_, j) => 2 * Math.PI * LARGEST_FREQUENCY * (SMALLEST_FREQUENCY / LARGEST_FREQUENCY) ** (j / last),
  );
  const along = (i: number): number[] => {
    const angles = frequencies.map(f => (f * i) / Math.max(1, side - 1));
    return [...angles, ...angles];
  };
  const cells = Array.from({ length: side * side }, (_, i) => [...along(Math.floor(i / side)), ...along(i % side)]);
  const angles = tf.tensor3d([cells]);
  return { cos: tf.cos(angles), sin: tf.sin(angles) };
}

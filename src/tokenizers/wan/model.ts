import { tf, type Tensor, type Tensor4D } from '../../engine/index.js';
import {
  attend,
  children,
  conv2d,
  groupMean,
  pixelShuffle,
  pixelUnshuffle,
  repeatChannels,
  rmsNorm,
  silu,
  under,
  upsample2x,
  type Params,
} from '../../nn/index.js';
import type { WanArchitecture } from './shapes.js';

/*
 * The autoencoder of Wan (Wan team 2025) and Qwen-Image (Wu et al. 2025) on one picture. Its convolutions are causal in
 * time and padded with zeros before the first frame, so what a single frame meets is the last temporal slice of every
 * kernel, and the resampling along time never happens. Kernels here are those slices (`keys.ts`); which blocks stand
 * where follows from the keys, which are diffusers' names.
 */

/** images [n, h, w, 3] in [−1, 1] → moments [n, h/f, w/f, 2z]: mean, then log-variance. */
export function encodeMoments(config: WanArchitecture, params: Params, images: Tensor): Tensor4D {
  return tf.tidy(() => {
    const encoder = under(params, 'encoder');
    let x: Tensor = conv2d(under(encoder, 'conv_in'), toPatches(images, config.patchSize));
    children(encoder, 'down_blocks').forEach((block, level) => {
      x = config.isResidual ? residualLevel(config, level, block, x) : encoderBlock(block, x);
    });
    return conv2d(under(params, 'quant_conv'), head(encoder, middle(under(encoder, 'mid_block'), x)));
  });
}

/** latents [n, h, w, z] → images [n, f·h, f·w, 3], clamped to [−1, 1] as the published decoders are. */
export function decodeLatents(config: WanArchitecture, params: Params, latents: Tensor): Tensor4D {
  return tf.tidy(() => {
    const decoder = under(params, 'decoder');
    const lifted = conv2d(under(decoder, 'conv_in'), conv2d(under(params, 'post_quant_conv'), latents));
    let x: Tensor = middle(under(decoder, 'mid_block'), lifted);
    children(decoder, 'up_blocks').forEach((block, level) => {
      x = config.isResidual ? residualUpLevel(config, level, block, x) : decoderBlock(block, x);
    });
    return tf.clipByValue(toPixels(head(decoder, x), config.patchSize), -1, 1);
  });
}

function encoderBlock(params: Params, x: Tensor): Tensor {
  if ('conv1.weight' in params) return residual(params, x);
  return 'to_qkv.weight' in params ? attention(params, x) : downsample(params, x);
}

function decoderBlock(params: Params, x: Tensor): Tensor {
  const y = residuals(params, x);
  const up = under(params, 'upsamplers.0');
  return 'resample.1.weight' in up ? upsample(up, y) : y;
}

/** Wan 2.2: around all of a level, the mean of groups of channels of its unshuffled input. */
function residualLevel(config: WanArchitecture, level: number, params: Params, x: Tensor): Tensor {
  const inner = residuals(params, x);
  const down = under(params, 'downsampler');
  const halves = 'resample.1.weight' in down;
  const y = halves ? downsample(down, inner) : inner;
  const unshuffled = halves ? pixelUnshuffle(x, 2) : x;
  const frames = config.temporalDownsample[level] && halves ? afterNothing(unshuffled) : unshuffled;
  return y.add(groupMean(frames, y.shape[3]!));
}

/** Each channel's four positions after four zeros, which stand for the frame before the first. */
function afterNothing(x: Tensor): Tensor {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  const positions = x.reshape([n * h * w, c / 4, 4]);
  return tf.concat([tf.zerosLike(positions), positions], 2).reshape([n, h, w, 2 * c]);
}

/** Wan 2.2: around all of a level that grows, its input's channels repeated and shuffled into space. */
function residualUpLevel(config: WanArchitecture, level: number, params: Params, x: Tensor): Tensor {
  const y = residuals(params, x);
  const up = under(params, 'upsampler');
  if (!('resample.1.weight' in up)) return y;
  const [n, h, w, c] = y.shape as [number, number, number, number];
  const frames = config.temporalDownsample[config.temporalDownsample.length - 1 - level] ? 2 : 1;
  // Of two frames the first is dropped: nothing comes before the first picture.
  const repeated = repeatChannels(x, c * frames * 4).reshape([n * h * w, c, frames, 4]);
  const last = repeated.slice([0, 0, frames - 1, 0], [-1, -1, 1, -1]).reshape([n, h, w, 4 * c]);
  return upsample(up, y).add(pixelShuffle(last, 2));
}

const residuals = (params: Params, x: Tensor): Tensor =>
  children(params, 'resnets').reduce((y, block) => residual(block, y), x);

function middle(params: Params, x: Tensor): Tensor {
  const first = residual(under(params, 'resnets.0'), x);
  return residual(under(params, 'resnets.1'), attention(under(params, 'attentions.0'), first));
}

const head = (params: Params, x: Tensor): Tensor4D =>
  conv2d(under(params, 'conv_out'), silu(norm(under(params, 'norm_out'), x)));

function residual(params: Params, x: Tensor): Tensor {
  const inner = conv2d(under(params, 'conv1'), silu(norm(under(params, 'norm1'), x)));
  const y = conv2d(under(params, 'conv2'), silu(norm(under(params, 'norm2'), inner)));
  const shortcut = under(params, 'conv_shortcut');
  return ('weight' in shortcut ? conv2d(shortcut, x) : x).add(y);
}

/** Single-head attention over all positions of the picture. */
function attention(params: Params, x: Tensor): Tensor {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  const qkv = conv2d(under(params, 'to_qkv'), norm(under(params, 'norm'), x)).reshape([n, 1, h * w, 3 * c]);
  const [q, k, v] = tf.split(qkv, 3, -1);
  return x.add(conv2d(under(params, 'proj'), attend(q, k, v).reshape([n, h, w, c])));
}

const downsample = (params: Params, x: Tensor): Tensor =>
  conv2d(under(params, 'resample.1'), x, { stride: 2, padding: [0, 1, 0, 1] });

const upsample = (params: Params, x: Tensor): Tensor => conv2d(under(params, 'resample.1'), upsample2x(x));

/** x / ‖x‖ · √c · γ over the channels; the root mean square in place of the norm takes care of √c. */
const norm = ({ gamma }: Params, x: Tensor): Tensor => rmsNorm({ weight: gamma }, x, NORM_EPS);
/** Keeps zeros zero, as PyTorch's least norm of 1e-12 does. */
const NORM_EPS = 1e-24;

/** pixels [n, h, w, 3] → [n, h/p, w/p, 3·p²], channels in the order (colour, column, row). */
const toPatches = (x: Tensor, p: number): Tensor => (p === 1 ? x : turned(pixelUnshuffle(x, p), p));

/** The inverse of `toPatches`. */
const toPixels = (x: Tensor, p: number): Tensor4D => (p === 1 ? x : pixelShuffle(turned(x, p), p)) as Tensor4D;

/** Rows and columns within a patch exchanged. */
function turned(x: Tensor, p: number): Tensor {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  const split = x.reshape([n * h * w, c / p ** 2, p, p]);
  return tf.transpose(split, [0, 1, 3, 2]).reshape([n, h, w, c]);
}

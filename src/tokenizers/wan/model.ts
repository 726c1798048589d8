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
  through,
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
  const encoder = under(params, 'encoder');
  return through(images, [
    x => toPatches(x, config.patchSize),
    convolution(encoder, 'conv_in'),
    ...children(encoder, 'down_blocks').flatMap((block, level) =>
      config.isResidual ? [residualLevel(config, level, block)] : encoderBlock(block),
    ),
    ...middle(under(encoder, 'mid_block')),
    ...head(encoder),
    convolution(params, 'quant_conv'),
  ]) as Tensor4D;
}

/** latents [n, h, w, z] → images [n, f·h, f·w, 3], clamped to [−1, 1] as the published decoders are. */
export function decodeLatents(config: WanArchitecture, params: Params, latents: Tensor): Tensor4D {
  const decoder = under(params, 'decoder');
  return through(latents, [
    convolution(params, 'post_quant_conv'),
    convolution(decoder, 'conv_in'),
    ...middle(under(decoder, 'mid_block')),
    ...children(decoder, 'up_blocks').flatMap((block, level) =>
      config.isResidual ? [residualUpLevel(config, level, block)] : decoderBlock(block),
    ),
    ...head(decoder),
    x => tf.clipByValue(toPixels(x, config.patchSize), -1, 1),
  ]) as Tensor4D;
}

type Step = (x: Tensor) => Tensor;

const convolution = (params: Params, name: string): Step => {
  const conv = under(params, name);
  return x => conv2d(conv, x);
};

function encoderBlock(params: Params): Step[] {
  if ('conv1.weight' in params) return [residual(params)];
  return 'to_qkv.weight' in params ? [attention(params)] : downsample(params);
}

const decoderBlock = (params: Params): Step[] => [...residuals(params), ...upsample(under(params, 'upsamplers.0'))];

/** Wan 2.2: around all of a level, the means of groups of channels of its unshuffled input. */
function residualLevel({ temporalDownsample }: WanArchitecture, level: number, params: Params): Step {
  const down = downsample(under(params, 'downsampler'));
  return x => {
    const y = through(x, [...residuals(params), ...down]);
    const unshuffled = down.length > 0 ? pixelUnshuffle(x, 2) : x;
    const frames = temporalDownsample[level] ? afterNothing(unshuffled) : unshuffled;
    return y.add(groupMean(frames, y.shape[3]!));
  };
}

/** Each channel's four positions after four zeros, which stand for the frame before the first. */
function afterNothing(x: Tensor): Tensor {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  const positions = x.reshape([n * h * w, c / 4, 4]);
  return tf.concat([tf.zerosLike(positions), positions], 2).reshape([n, h, w, 2 * c]);
}

/** Wan 2.2: around all of a level that grows, its input's channels repeated and shuffled into space. */
function residualUpLevel({ temporalDownsample }: WanArchitecture, level: number, params: Params): Step {
  const up = upsample(under(params, 'upsampler'));
  const frames = temporalDownsample[temporalDownsample.length - 1 - level] ? 2 : 1;
  return x => {
    const y = through(x, [...residuals(params), ...up]);
    return up.length > 0 ? y.add(pixelShuffle(lastFrame(x, frames, 4 * y.shape[3]!), 2)) : y;
  };
}

/** x [n, h, w, ·] with its channels repeated to as many frames of c; all but the last come before the first picture. */
function lastFrame(x: Tensor, frames: number, c: number): Tensor {
  const [n, h, w] = x.shape as [number, number, number, number];
  const repeated = repeatChannels(x, c * frames).reshape([n * h * w, c / 4, frames, 4]);
  return repeated.slice([0, 0, frames - 1, 0], [-1, -1, 1, -1]).reshape([n, h, w, c]);
}

const residuals = (params: Params): Step[] => children(params, 'resnets').map(residual);

const middle = (params: Params): Step[] => [
  residual(under(params, 'resnets.0')),
  attention(under(params, 'attentions.0')),
  residual(under(params, 'resnets.1')),
];

const head = (params: Params): Step[] => [x => norm(params, 'norm_out', x, 'silu'), convolution(params, 'conv_out')];

function residual(params: Params): Step {
  const shortcut = under(params, 'conv_shortcut');
  return x => {
    const y = through(x, [
      h => norm(params, 'norm1', h, 'silu'),
      convolution(params, 'conv1'),
      h => norm(params, 'norm2', h, 'silu'),
      convolution(params, 'conv2'),
    ]);
    return ('weight' in shortcut ? conv2d(shortcut, x) : x).add(y);
  };
}

/** Single-head attention over all positions of the picture. */
const attention =
  (params: Params): Step =>
  x => {
    const [n, h, w, c] = x.shape as [number, number, number, number];
    const qkv = conv2d(under(params, 'to_qkv'), norm(params, 'norm', x)).reshape([n, 1, h * w, 3 * c]);
    const [q, k, v] = tf.split(qkv, 3, -1);
    return x.add(conv2d(under(params, 'proj'), attend(q, k, v).reshape([n, h, w, c])));
  };

/** Levels that keep the resolution have none. */
const downsample = (params: Params): Step[] =>
  'resample.1.weight' in params
    ? [x => conv2d(under(params, 'resample.1'), x, { stride: 2, padding: [0, 1, 0, 1] })]
    : [];

const upsample = (params: Params): Step[] =>
  'resample.1.weight' in params ? [upsample2x, convolution(params, 'resample.1')] : [];

/** x / ‖x‖ · √c · γ over the channels; the root mean square in place of the norm takes care of √c. */
const norm = (params: Params, name: string, x: Tensor, activation?: 'silu'): Tensor =>
  rmsNorm({ weight: params[`${name}.gamma`] }, x, NORM_EPS, activation);
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

import { einsum, tf, type Tensor, type Tensor4D } from '../../engine/index.js';
import { children, conv2d, groupNorm, through, under, upsample2x, type Params } from '../../nn/index.js';

/*
 * The convolutional KL autoencoder of latent diffusion (Rombach et al. 2022): VA-VAE, SD-VAE and MAETok's KL-16 are
 * this network. Depths, widths and where attention stands follow from the keys of the weights; only what no key
 * tells is configured.
 */
export interface NormConfig {
  groups: number;
  eps: number;
}

/** images [n, h, w, 3] in [-1, 1] → features before the quant convolution [n, h/f, w/f, c]. */
export function encodeFeatures(norm: NormConfig, params: Params, images: Tensor): Tensor4D {
  return through(images, [
    x => conv2d(under(params, 'conv_in'), x),
    ...children(params, 'down').flatMap(level => [...blocks(norm, level), ...downsample(under(level, 'downsample'))]),
    ...middle(norm, under(params, 'mid')),
    ...head(norm, params),
  ]) as Tensor4D;
}

/** features [n, h, w, c] after the post-quant convolution → images [n, f·h, f·w, 3], not clamped. */
export function decodeFeatures(norm: NormConfig, params: Params, features: Tensor): Tensor4D {
  const levels = children(params, 'up').reverse();
  return through(features, [
    x => conv2d(under(params, 'conv_in'), x),
    ...middle(norm, under(params, 'mid')),
    ...levels.flatMap(level => [...blocks(norm, level), ...upsample(under(level, 'upsample'))]),
    ...head(norm, params),
  ]) as Tensor4D;
}

type Step = (x: Tensor) => Tensor;

const head = (norm: NormConfig, params: Params): Step[] => [
  normalise(norm, under(params, 'norm_out'), 'silu'),
  x => conv2d(under(params, 'conv_out'), x),
];

/** Levels that keep the resolution have none. */
const downsample = (params: Params): Step[] =>
  'conv.weight' in params ? [x => conv2d(under(params, 'conv'), x, { stride: 2, padding: [0, 1, 0, 1] })] : [];

const upsample = (params: Params): Step[] =>
  'conv.weight' in params ? [upsample2x, x => conv2d(under(params, 'conv'), x)] : [];

/** Residual blocks of one resolution, each followed by attention where the level has it. */
function blocks(norm: NormConfig, params: Params): Step[] {
  const attentions = children(params, 'attn');
  return children(params, 'block').flatMap((block, i) => [
    residual(norm, block),
    ...(i < attentions.length ? [attention(norm, attentions[i])] : []),
  ]);
}

function middle(norm: NormConfig, params: Params): Step[] {
  const attn = under(params, 'attn_1');
  return [
    residual(norm, under(params, 'block_1')),
    ...('norm.weight' in attn ? [attention(norm, attn)] : []),
    residual(norm, under(params, 'block_2')),
  ];
}

function residual(norm: NormConfig, params: Params): Step {
  const shortcut = under(params, 'nin_shortcut');
  return x => {
    const y = through(x, [
      normalise(norm, under(params, 'norm1'), 'silu'),
      h => conv2d(under(params, 'conv1'), h),
      normalise(norm, under(params, 'norm2'), 'silu'),
      h => conv2d(under(params, 'conv2'), h),
    ]);
    return ('weight' in shortcut ? conv2d(shortcut, x) : x).add(y);
  };
}

const normalise =
  ({ groups, eps }: NormConfig, params: Params, activation?: 'silu'): Step =>
  x =>
    groupNorm(params, x, groups, eps, activation);

/** Single-head attention over all positions, by 1×1 convolutions. */
const attention =
  (norm: NormConfig, params: Params): Step =>
  x => {
    const [n, h, w, c] = x.shape as [number, number, number, number];
    const normal = normalise(norm, under(params, 'norm'))(x);
    const [q, k, v] = ['q', 'k', 'v'].map(part => conv2d(under(params, part), normal).reshape([n, h * w, c]));
    const weights = tf.softmax(einsum('n q c, n k c -> n q k', q, k).mul(c ** -0.5));
    const mixed = einsum('n q k, n k c -> n q c', weights, v).reshape([n, h, w, c]);
    return x.add(conv2d(under(params, 'proj_out'), mixed));
  };

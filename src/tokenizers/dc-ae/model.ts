import { einsum, matMul, tf, type Tensor, type Tensor4D } from '../../engine/index.js';
import {
  children,
  batchNorm,
  conv2d,
  depthwiseConv2d,
  groupMean,
  pixelShuffle,
  pixelUnshuffle,
  repeatChannels,
  under,
  upsample2x,
  type Params,
} from '../../nn/index.js';

/*
 * Deep-compression autoencoder (Chen et al. 2024). Which blocks stand where follows from the keys (diffusers' names);
 * configured is only what no key tells.
 */
export interface DcAeConfig {
  /** Width of an attention head, and the number of positions up to which attention is quadratic. */
  headDim: number;
  downsample: 'pixel_unshuffle' | 'conv';
  upsample: 'pixel_shuffle' | 'interpolate';
  /** Activation of the decoder's residual blocks, per stage; one word for all. */
  decoderActivation: Activation | Activation[];
}

type Activation = 'relu' | 'silu';

const RMS_EPS = 1e-5;
const BATCH_EPS = 1e-5;
const ATTENTION_EPS = 1e-15;

/** images [n, h, w, 3] in [-1, 1] → latents [n, h/f, w/f, c], not scaled. */
export function encode(config: DcAeConfig, params: Params, images: Tensor): Tensor4D {
  return tf.tidy(() => {
    const first = under(params, 'conv_in');
    let x: Tensor = 'conv.weight' in first ? downsample(config, first, images, false) : conv2d(first, images);
    for (const stage of children(params, 'down_blocks')) {
      for (const block of children(stage)) x = encoderBlock(config, block, x);
    }
    const y = conv2d(under(params, 'conv_out'), x);
    return y.add(groupMean(x, y.shape[3]));
  });
}

/** latents [n, h, w, c] → images [n, f·h, f·w, 3], not clamped. */
export function decode(config: DcAeConfig, params: Params, latents: Tensor): Tensor4D {
  return tf.tidy(() => {
    const lifted = conv2d(under(params, 'conv_in'), latents);
    let x: Tensor = lifted.add(repeatChannels(latents, lifted.shape[3]));
    const stages = children(params, 'up_blocks');
    for (let s = stages.length - 1; s >= 0; s--) {
      const activation = Array.isArray(config.decoderActivation)
        ? config.decoderActivation[s]
        : config.decoderActivation;
      for (const block of children(stages[s])) x = decoderBlock(config, activation, block, x);
    }
    x = tf.relu(rmsNorm(under(params, 'norm_out'), x));
    const last = under(params, 'conv_out');
    return 'conv.weight' in last ? upsample(config, last, x, false) : conv2d(last, x);
  });
}

function encoderBlock(config: DcAeConfig, params: Params, x: Tensor): Tensor {
  return 'conv.weight' in params ? downsample(config, params, x, true) : block(config, 'silu', params, x);
}

function decoderBlock(config: DcAeConfig, activation: Activation, params: Params, x: Tensor): Tensor {
  return 'conv.weight' in params ? upsample(config, params, x, true) : block(config, activation, params, x);
}

function block(config: DcAeConfig, activation: Activation, params: Params, x: Tensor): Tensor {
  if ('conv1.weight' in params) return residualBlock(activation, params, x);
  return gatedConv(under(params, 'conv_out'), attention(config, under(params, 'attn'), x));
}

function residualBlock(activation: Activation, params: Params, x: Tensor): Tensor {
  const y = conv2d(under(params, 'conv2'), ACTIVATIONS[activation](conv2d(under(params, 'conv1'), x)));
  const norm = under(params, 'norm');
  return x.add('running_mean' in norm ? batchNorm(norm, y, BATCH_EPS) : rmsNorm(norm, y));
}

function downsample({ downsample: kind }: DcAeConfig, params: Params, x: Tensor, shortcut: boolean): Tensor4D {
  const conv = under(params, 'conv');
  const y = kind === 'conv' ? conv2d(conv, x, { stride: 2, padding: 1 }) : pixelUnshuffle(conv2d(conv, x), 2);
  return shortcut ? y.add(groupMean(pixelUnshuffle(x, 2), y.shape[3])) : y;
}

function upsample({ upsample: kind }: DcAeConfig, params: Params, x: Tensor, shortcut: boolean): Tensor4D {
  const conv = under(params, 'conv');
  const y = kind === 'interpolate' ? conv2d(conv, upsample2x(x)) : pixelShuffle(conv2d(conv, x), 2);
  return shortcut ? y.add(pixelShuffle(repeatChannels(x, 4 * y.shape[3]), 2)) : y;
}

/** Multi-scale ReLU attention, linear in the positions unless these are fewer than a head is wide. */
function attention({ headDim }: DcAeConfig, params: Params, x: Tensor): Tensor {
  const [n, h, w] = x.shape as [number, number, number, number];
  const projected = tf.concat(
    ['to_q', 'to_k', 'to_v'].map(part => matMul(x, params[`${part}.weight`], { transposeB: true })),
    3,
  );
  const scales = children(params, 'to_qkv_multiscale').map(scale => aggregate(headDim, scale, projected));
  // The concatenated channels are cut into consecutive q, k, v of one head, whatever the projections' names say.
  const heads = tf.concat([projected, ...scales], 3).reshape([n, h * w, -1, 3, headDim]);
  const [q, k, v] = tf.unstack(heads, 3);
  const attend = h * w > headDim ? linearAttention : quadraticAttention;
  const mixed = attend(tf.relu(q), tf.relu(k), v).reshape([n, h, w, -1]);
  const out = matMul(mixed, pointwise(params['to_out.weight']), { transposeB: true });
  return x.add(rmsNorm(under(params, 'norm_out'), out));
}

/** q, k, v [n, t, heads, d] → [n, t, heads, d]. */
function linearAttention(q: Tensor, k: Tensor, v: Tensor): Tensor {
  const summary = einsum('n t h i, n t h o -> n h i o', k, v);
  const normaliser = q.mul(k.sum(1, true)).sum(-1, true).add(ATTENTION_EPS);
  return einsum('n t h i, n h i o -> n t h o', q, summary).div(normaliser);
}

function quadraticAttention(q: Tensor, k: Tensor, v: Tensor): Tensor {
  const scores = einsum('n q h d, n k h d -> n h q k', q, k);
  const weights = scores.div(scores.sum(-1, true).add(ATTENTION_EPS));
  return einsum('n h q k, n k h d -> n q h d', weights, v);
}

/** A neighbourhood's q, k, v: depthwise convolution, then one small matrix per head and part. */
function aggregate(headDim: number, params: Params, qkv: Tensor): Tensor {
  const [n, h, w, c] = qkv.shape as [number, number, number, number];
  const near = depthwiseConv2d(under(params, 'proj_in'), qkv).reshape([n * h * w, c / headDim, headDim]);
  const matrices = params['proj_out.weight'].reshape([c / headDim, headDim, headDim]);
  return einsum('p g i, g o i -> p g o', near, matrices).reshape([n, h, w, c]);
}

function gatedConv(params: Params, x: Tensor): Tensor {
  const wide = depthwiseConv2d(under(params, 'conv_depth'), silu(conv2d(under(params, 'conv_inverted'), x)));
  const [hidden, gate] = tf.split(wide, 2, 3);
  return x.add(rmsNorm(under(params, 'norm'), conv2d(under(params, 'conv_point'), hidden.mul(silu(gate)))));
}

/** Root-mean-square norm over channels with weight and bias. */
function rmsNorm(params: Params, x: Tensor): Tensor {
  const scale = x.square().mean(-1, true).add(RMS_EPS).rsqrt();
  return x.mul(scale).mul(params.weight).add(params.bias);
}

const silu = (x: Tensor): Tensor => x.mul(tf.sigmoid(x));
const ACTIVATIONS: Record<Activation, (x: Tensor) => Tensor> = { relu: x => tf.relu(x), silu };

/** [out, in] or [out, in, 1, 1] → [out, in]. */
const pointwise = (weight: Tensor): Tensor => weight.reshape([weight.shape[0], weight.shape[1]!]);

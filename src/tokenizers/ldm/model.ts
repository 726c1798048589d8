import { einsum, tf, type Tensor, type Tensor4D } from '../../engine/index.js';
import { children, conv2d, groupNorm, under, upsample2x, type Params } from '../../nn/index.js';

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
  return tf.tidy(() => {
    let x: Tensor = conv2d(under(params, 'conv_in'), images);
    for (const level of children(params, 'down')) {
      x = blocks(norm, level, x);
      const down = under(level, 'downsample.conv');
      if ('weight' in down) x = conv2d(down, x, { stride: 2, padding: [0, 1, 0, 1] });
    }
    return head(norm, params, middle(norm, under(params, 'mid'), x)) as Tensor4D;
  });
}

/** features [n, h, w, c] after the post-quant convolution → images [n, f·h, f·w, 3], not clamped. */
export function decodeFeatures(norm: NormConfig, params: Params, features: Tensor): Tensor4D {
  return tf.tidy(() => {
    let x = middle(norm, under(params, 'mid'), conv2d(under(params, 'conv_in'), features));
    for (const level of children(params, 'up').reverse()) {
      x = blocks(norm, level, x);
      const up = under(level, 'upsample.conv');
      if ('weight' in up) x = conv2d(up, upsample2x(x));
    }
    return head(norm, params, x) as Tensor4D;
  });
}

function head(norm: NormConfig, params: Params, x: Tensor): Tensor {
  return conv2d(under(params, 'conv_out'), swish(groupNorm(under(params, 'norm_out'), x, norm.groups, norm.eps)));
}

/** Residual blocks of one resolution, each followed by attention where the level has it. */
function blocks(norm: NormConfig, params: Params, x: Tensor): Tensor {
  const attentions = children(params, 'attn');
  children(params, 'block').forEach((block, i) => {
    x = residual(norm, block, x);
    if (i < attentions.length) x = attention(norm, attentions[i], x);
  });
  return x;
}

function middle(norm: NormConfig, params: Params, x: Tensor): Tensor {
  const first = residual(norm, under(params, 'block_1'), x);
  const attn = under(params, 'attn_1');
  return residual(norm, under(params, 'block_2'), 'norm.weight' in attn ? attention(norm, attn, first) : first);
}

function residual({ groups, eps }: NormConfig, params: Params, x: Tensor): Tensor {
  const inner = conv2d(under(params, 'conv1'), swish(groupNorm(under(params, 'norm1'), x, groups, eps)));
  const y = conv2d(under(params, 'conv2'), swish(groupNorm(under(params, 'norm2'), inner, groups, eps)));
  const shortcut = under(params, 'nin_shortcut');
  return ('weight' in shortcut ? conv2d(shortcut, x) : x).add(y);
}

/** Single-head attention over all positions, by 1×1 convolutions. */
function attention({ groups, eps }: NormConfig, params: Params, x: Tensor): Tensor {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  const normal = groupNorm(under(params, 'norm'), x, groups, eps);
  const [q, k, v] = ['q', 'k', 'v'].map(part => conv2d(under(params, part), normal).reshape([n, h * w, c]));
  const weights = tf.softmax(einsum('n q c, n k c -> n q k', q, k).mul(c ** -0.5));
  const mixed = einsum('n q k, n k c -> n q c', weights, v).reshape([n, h, w, c]);
  return x.add(conv2d(under(params, 'proj_out'), mixed));
}

const swish = (x: Tensor): Tensor => x.mul(tf.sigmoid(x));

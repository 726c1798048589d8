import type { RandomNumbers } from '../../base/index.js';
import { matMul, tf, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import {
  area,
  attention,
  batchNorm,
  bicubic,
  children,
  geluTanh,
  layerNorm,
  linear,
  mlp,
  patchify,
  patchWeight,
  prefixed,
  resample,
  trainBatchNorm,
  under,
  type Params,
} from '../../nn/index.js';
import type { Judgement, JudgeOptions } from './discriminator.js';
import { spectralWeight } from './spectral.js';

/*
 * A discriminator on a frozen DINO ViT (Sauer et al. 2023): small convolutional heads read its tokens at several
 * depths. Keys: `dino.*` the frozen network, `heads.*` what is trained.
 */
export interface DinoConfig {
  heads: number;
  /** Blocks after which tokens are read, besides those before the first. */
  readouts: readonly number[];
}

const SIDE = 224;
const BATCH_EPS = 1e-6;
const SLOPE = 0.2;

/** Logits [n, heads · tokens] of all heads side by side. Larger images are seen whole or, by a coin, through a crop. */
export function dinoDiscriminator(
  config: DinoConfig,
  params: Params,
  images: Tensor4D,
  { train, random }: JudgeOptions & { random?: RandomNumbers },
): Judgement {
  const activations = dinoActivations(config, under(params, 'dino'), dinoInput(params, images, random));
  const buffers: Params = {};
  const logits = children(params, 'heads').map((head, i) => {
    const judged = judge(head, activations[i], train);
    Object.assign(buffers, prefixed(judged.buffers, `heads.${i}`));
    return judged.logits;
  });
  return { logits: tf.concat(logits, 1), buffers };
}

/** images in [−1, 1] of any size → the network's normalised 224 × 224. */
export function dinoInput(params: Params, images: Tensor4D, random?: RandomNumbers): Tensor4D {
  const scale = params['dino.x_scale'].reshape([3]);
  const shift = params['dino.x_shift'].reshape([3]);
  return sized(images, random).mul(scale).add(shift);
}

function sized(images: Tensor4D, random: RandomNumbers | undefined): Tensor4D {
  const [n, h, w, c] = images.shape;
  if (h === SIDE && w === SIDE) return images;
  if (h < SIDE || w < SIDE) return resample(images, SIDE, SIDE, bicubic);
  const [coin, down, right] = random?.uniforms(3) ?? [1, 0, 0];
  if (coin >= 0.5) return resample(images, SIDE, SIDE, area);
  const [top, left] = [Math.floor(down * (h - SIDE + 1)), Math.floor(right * (w - SIDE + 1))];
  return tf.slice4d(images, [0, top, left, 0], [n, SIDE, SIDE, c]);
}

/** Patch tokens plus the class token [n, tokens, c], before the first block and after each of the readouts. */
export function dinoActivations({ heads, readouts }: DinoConfig, params: Params, images: Tensor4D): Tensor3D[] {
  const { weight, bias } = under(params, 'patch_embed.proj');
  const patches = linear({ weight: patchWeight(weight), bias }, patchify(images, weight.shape[2]!));
  const [n, tokens, c] = patches.shape as [number, number, number];
  let x = tf.concat([tf.tile(params.cls_token, [n, 1, 1]), patches], 1).add<Tensor>(params.pos_embed);
  const read = (): Tensor3D => tf.slice(x, [0, 1, 0], [n, tokens, c]).add(tf.slice(x, [0, 0, 0], [n, 1, c]));
  const activations = [read()];
  const blocks = children(params, 'blocks');
  for (const [i, block] of blocks.entries()) {
    if (i > Math.max(...readouts)) break;
    x = x.add(attention(under(block, 'attn'), layerNorm(under(block, 'norm1'), x), { heads }));
    // The authors' loader approximates the GELU that DINO was trained with.
    x = x.add(mlp(under(block, 'mlp'), layerNorm(under(block, 'norm2'), x), geluTanh));
    if (readouts.includes(i)) activations.push(read());
  }
  return activations;
}

/** One head: a 1-wide block, a residual 9-wide one, and a 1-wide convolution to one logit per token [n, tokens]. */
function judge(params: Params, tokens: Tensor, train: boolean): Judgement {
  const buffers: Params = {};
  const keep = (at: string, moved: Params): void => void Object.assign(buffers, prefixed(moved, at));
  const convolve = (at: string, x: Tensor): Tensor => {
    const { weight, buffers: moved } = spectralWeight(under(params, at), train);
    keep(at, moved);
    return circularConv1d(weight, params[`${at}.bias`], x);
  };
  const block = (at: string, x: Tensor): Tensor => {
    const y = convolve(`${at}.0`, x);
    const norm = under(params, `${at}.1`);
    if (!train) return tf.leakyRelu(batchNorm(norm, y, BATCH_EPS), SLOPE);
    const { output, buffers: moved } = trainBatchNorm(norm, y, BATCH_EPS);
    keep(`${at}.1`, moved);
    return tf.leakyRelu(output, SLOPE);
  };
  const first = block('0', tokens);
  const second = block('1.fn', first).add(first).mul(Math.SQRT1_2);
  const logits = convolve('2', second);
  return { logits: logits.reshape([tokens.shape[0], -1]), buffers };
}

/** Convolution along tokens whose ends meet. x [n, t, c], weight [out, c, k] → [n, t, out]. */
function circularConv1d(weight: Tensor, bias: Tensor, x: Tensor): Tensor {
  const [n, t, c] = x.shape as [number, number, number];
  const [out, , kernel] = weight.shape as [number, number, number];
  const around = Math.floor(kernel / 2);
  const ring =
    around === 0
      ? x
      : tf.concat([tf.slice(x, [0, t - around, 0], [n, around, c]), x, tf.slice(x, [0, 0, 0], [n, around, c])], 1);
  const windows = Array.from({ length: kernel }, (_, k) => tf.slice(ring, [0, k, 0], [n, t, c]));
  const filters = tf.transpose(weight, [0, 2, 1]).reshape([out, kernel * c]);
  return matMul(tf.concat(windows, 2), filters, { transposeB: true }).add(bias);
}

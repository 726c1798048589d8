import { tf, type Tensor, type Tensor2D, type Tensor3D, type Tensor4D } from '../engine/index.js';
import {
  attend,
  attention,
  children,
  gatedResidual,
  gelu,
  geluTanh,
  layerNorm,
  linear,
  mlp,
  patchify,
  patchWeight,
  residual,
  silu,
  swiGlu,
  under,
  type Activation,
  type Params,
  type Rotation,
} from '../nn/index.js';
import type { VisionConfig } from './config.js';
import type { ActivationName } from './families.js';
import { patchRotation, positionTable } from './positions.js';

/** What a frozen vision transformer says of images. */
export interface VisionTokens {
  /** After the last norm: class token, registers, then patches row by row, [n, extra + patches, c]. */
  hidden: Tensor3D;
  /** Class token and registers: how many tokens stand before the patches. */
  extra: number;
  /** Rows and columns of patches. */
  grid: readonly [rows: number, columns: number];
  /** The layers that were asked for, in that order, before the last norm; same shape as `hidden`. */
  layers: Tensor3D[];
  /** After the last block, before the last norm; same shape as `hidden`. */
  last: Tensor3D;
}

export interface VisionTokensOptions {
  /** Numbers as of transformers' `hidden_states`: 0 is the embedding, i the output of block i. */
  layers?: readonly number[] | undefined;
}

/**
 * Tokens of images [n, h, w, 3], already normalised, of any size of at least one patch; what a convolution of patches does
 * not reach at the right and bottom is left out. The table of positions is resized as the weights' library does it.
 */
export function visionTokens(
  config: VisionConfig,
  params: Params,
  pixels: Tensor4D,
  { layers = [] }: VisionTokensOptions = {},
): VisionTokens {
  const { patchSize } = config;
  const grid = [Math.floor(pixels.shape[1] / patchSize), Math.floor(pixels.shape[2] / patchSize)] as const;
  const extra = (config.classToken ? 1 : 0) + config.registers;
  const tensors = tf.tidy(() => {
    const turned = config.family === 'dinov3' ? patchRotation(config, ...grid, extra) : undefined;
    let x = embedded(config, params, pixels, grid);
    const seen = new Map<number, Tensor>();
    const see = (layer: number): void => {
      if (layers.includes(layer)) seen.set(layer, x.clone());
    };
    see(0);
    children(params, 'blocks').forEach((block, i) => {
      const y = tf.tidy(() => transformerBlock(config, block, x, turned));
      x.dispose();
      x = y;
      see(i + 1);
    });
    return { hidden: finalNorm(config, params, x), last: x, layers: layers.map(layer => seen.get(layer)!) };
  });
  return { ...(tensors as Pick<VisionTokens, 'hidden' | 'last' | 'layers'>), extra, grid };
}

/** The last norm, of any layer's tokens [n, t, c]. */
export const finalNorm = (config: VisionConfig, params: Params, tokens: Tensor): Tensor3D =>
  layerNorm(under(params, 'norm'), tokens, config.eps) as Tensor3D;

/** One vector per image, [n, c]: SigLIP's head where it is there, else the class token after the last norm. */
export function pooled(config: VisionConfig, params: Params, hidden: Tensor3D): Tensor2D {
  return tf.tidy(() => {
    const [n, , c] = hidden.shape;
    if (config.attentionPool) return attentionPool(config, params, hidden);
    if (!config.classToken) return hidden.mean<Tensor2D>(1);
    return hidden.slice([0, 0, 0], [-1, 1, -1]).reshape<Tensor2D>([n, c]);
  });
}

/** CLIP's image embeddings from what `pooled` gives; undefined where the weights have no projection. */
export const imageEmbedding = (params: Params, pooledTokens: Tensor2D): Tensor2D | undefined =>
  'projection.weight' in params ? (linear(under(params, 'projection'), pooledTokens) as Tensor2D) : undefined;

function embedded(
  config: VisionConfig,
  params: Params,
  pixels: Tensor4D,
  [rows, columns]: readonly [number, number],
): Tensor {
  const { patchSize: p, classPosition } = config;
  const n = pixels.shape[0];
  const whole = pixels.slice([0, 0, 0, 0], [-1, rows * p, columns * p, -1]);
  const { weight, ...bias } = under(params, 'patch_embed.proj');
  let patches: Tensor = linear({ weight: patchWeight(weight), ...bias }, patchify(whole, p));
  const forEach = (tokens: Tensor): Tensor => tf.tile(tokens.reshape([1, -1, config.width]), [n, 1, 1]);
  const table = 'pos_embed' in params ? positionTable(config, params.pos_embed, rows, columns) : undefined;
  const [first, rest] =
    table && classPosition ? [table.slice([0, 0], [1, -1]), table.slice([1, 0], [-1, -1])] : [undefined, table];
  if (rest) patches = patches.add(rest);
  const before: Tensor[] = [];
  if (config.classToken) before.push(forEach(first ? params.cls_token.add(first) : params.cls_token));
  if (config.registers > 0) before.push(forEach(params.register_tokens));
  const x = before.length > 0 ? tf.concat([...before, patches], 1) : patches;
  return 'norm_pre.weight' in params ? layerNorm(under(params, 'norm_pre'), x, config.eps) : x;
}

const ACTIVATION: Record<ActivationName, Activation> = {
  gelu,
  gelu_pytorch_tanh: geluTanh,
  // The layers' weights have taken in what it differs by.
  quick_gelu: silu,
  silu,
};

function transformerBlock(config: VisionConfig, params: Params, x: Tensor, turned: Rotation | undefined): Tensor {
  const { heads, eps, gated, activation } = config;
  const grown = (before: Tensor, y: Tensor, scale: string): Tensor =>
    scale in params ? gatedResidual(before, y, params[scale]) : residual(before, y);
  const attended = attention(under(params, 'attn'), layerNorm(under(params, 'norm1'), x, eps), {
    heads,
    rotation: turned,
  });
  const middle = grown(x, attended, 'ls1.gamma');
  const layers = gated ? swiGlu : mlp;
  return grown(
    middle,
    layers(under(params, 'mlp'), layerNorm(under(params, 'norm2'), middle, eps), ACTIVATION[activation]),
    'ls2.gamma',
  );
}

function attentionPool({ heads, eps, activation, width: c }: VisionConfig, params: Params, hidden: Tensor3D): Tensor2D {
  const [n, t] = hidden.shape;
  const part = (from: number, count: number): Params => ({
    weight: params['pool.attn.qkv.weight'].slice([from * c, 0], [count * c, -1]),
    bias: params['pool.attn.qkv.bias'].slice([from * c], [count * c]),
  });
  const perHead = (x: Tensor): Tensor => tf.transpose(x.reshape([n, -1, heads, c / heads]), [0, 2, 1, 3]);
  const query = linear(part(0, 1), tf.tile(params['pool.probe'], [n, 1, 1]));
  const [keys, values] = tf.split(linear(part(1, 2), hidden).reshape([n, t, 2 * c]), 2, 2);
  const mixed = tf.transpose(attend(perHead(query), perHead(keys), perHead(values)), [0, 2, 1, 3]).reshape([n, 1, c]);
  const attended = linear(under(params, 'pool.attn.proj'), mixed);
  const normal = layerNorm(under(params, 'pool.norm'), attended, eps);
  return residual(attended, mlp(under(params, 'pool.mlp'), normal, ACTIVATION[activation])).reshape<Tensor2D>([n, c]);
}

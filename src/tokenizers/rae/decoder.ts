import { tf, type Tensor, type Tensor3D, type Tensor4D } from '../../engine/index.js';
import {
  attention,
  broadcast,
  children,
  layerNorm,
  linear,
  mlp,
  residual,
  under,
  unpatchify,
  type Params,
} from '../../nn/index.js';
import { throughLayers } from '../stack.js';
import type { RaeDecoder } from './config.js';
import { sinCosTable } from './positions.js';

/*
 * RAE's decoder (Zheng et al. 2025): that of ViT-MAE (He et al. 2021) on the tokens of a frozen encoder, with a class
 * token of its own. Keys are those of diffusers' AutoencoderRAE under `decoder.`.
 */

/**
 * Queries, keys and values as one layer, under the names that this room's layers have. Differentiable; or, with
 * `release`, for good: what has been joined is freed layer by layer, so that it is not held twice.
 */
export function joinedLayers(params: Params, { release = false } = {}): Params {
  const layers = children(params, 'decoder_layers').flatMap((layer, i) => {
    const joined = Object.entries(joinedLayer(layer));
    if (release) tf.dispose(PARTS.flatMap(part => apart(layer, part)));
    return joined.map(([key, tensor]) => [`decoder_layers.${i}.${key}`, tensor] as const);
  });
  const others = Object.entries(params).filter(([key]) => !key.startsWith('decoder_layers.'));
  return Object.fromEntries([...others, ...layers]);
}

/** Ours → diffusers' of the layers that stand as they are. */
const LAYERS = {
  norm1: 'layernorm_before',
  norm2: 'layernorm_after',
  'attn.proj': 'attention.to_out.0',
  'mlp.fc1': 'intermediate.dense',
  'mlp.fc2': 'output.dense',
};

const PARTS = ['weight', 'bias'] as const;

/** Queries', keys' and values' weights or biases. */
const apart = (layer: Params, part: string): Tensor[] =>
  ['to_q', 'to_k', 'to_v'].map(name => layer[`attention.${name}.${part}`]);

function joinedLayer(layer: Params): Params {
  return Object.fromEntries(
    PARTS.flatMap(part => [
      [`attn.qkv.${part}`, tf.concat(apart(layer, part))] as const,
      ...Object.entries(LAYERS).map(([ours, theirs]) => [`${ours}.${part}`, layer[`${theirs}.${part}`]] as const),
    ]),
  );
}

/**
 * tokens [n, t, c] of a square grid → images [n, side, side, 3] as the decoder gives them, on the scale of the
 * encoder's normalised pixels or of [0, 1]. `params` are those of `joinedLayers`. The caller owns the result.
 */
export function decodeTokens(
  { heads, patchSize, eps }: RaeDecoder,
  params: Params,
  tokens: Tensor3D,
  { recompute }: { recompute?: boolean | undefined } = {},
): Tensor4D {
  return tf.tidy(() => {
    const [n, t] = tokens.shape;
    const side = Math.sqrt(t);
    const lifted = linear(under(params, 'decoder_embed'), tokens);
    const width = lifted.shape[2]!;
    const own = broadcast(params.trainable_cls_token, [n, 1, width]);
    const { x } = throughLayers(
      tf
        .concat([own, lifted], 1)
        .add('decoder_pos_embed' in params ? params.decoder_pos_embed : sinCosTable(width, side)),
      children(params, 'decoder_layers').length,
      (current, read) => block(read, current, heads, eps),
      { recompute, inputs: i => under(params, `decoder_layers.${i}`) },
    );
    const patches = x.slice([0, 1, 0], [-1, t, -1]);
    const pixels = linear(under(params, 'decoder_pred'), layerNorm(under(params, 'decoder_norm'), patches, eps));
    return unpatchify(pixels, patchSize, side, side);
  });
}

function block(params: Params, x: Tensor, heads: number, eps: number): Tensor {
  const middle = residual(x, attention(under(params, 'attn'), layerNorm(under(params, 'norm1'), x, eps), { heads }));
  return residual(middle, mlp(under(params, 'mlp'), layerNorm(under(params, 'norm2'), middle, eps)));
}

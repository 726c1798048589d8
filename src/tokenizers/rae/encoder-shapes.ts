import { convShapes, linearShapes, normShapes, prefixed, repeatedShapes, type Shapes } from '../../nn/index.js';
import { named } from './keys.js';

/* Tensors of the encoders in published files, as transformers names them on saving. */

export interface EncoderSizes {
  width: number;
  depth: number;
  /** Width of the hidden layer of an MLP. */
  hidden: number;
  patchSize: number;
}

/** Queries, keys, values and what follows them, as the older models call them. */
const olderAttention = (width: number): Shapes =>
  named({
    'attention.attention.query': linearShapes(width, width),
    'attention.attention.key': linearShapes(width, width),
    'attention.attention.value': linearShapes(width, width),
    'attention.output.dense': linearShapes(width, width),
  });

/** DINOv2 with registers, without its last norm. */
export function dinov2Shapes({ width, depth, hidden, patchSize }: EncoderSizes): Shapes {
  const layer: Shapes = {
    ...olderAttention(width),
    ...named({
      norm1: normShapes(width),
      norm2: normShapes(width),
      'mlp.fc1': linearShapes(width, hidden),
      'mlp.fc2': linearShapes(hidden, width),
    }),
    'layer_scale1.lambda1': [width],
    'layer_scale2.lambda1': [width],
  };
  return {
    'embeddings.cls_token': [1, 1, width],
    'embeddings.mask_token': [1, width],
    'embeddings.register_tokens': [1, 4, width],
    'embeddings.position_embeddings': [1, 1 + Math.floor(518 / patchSize) ** 2, width],
    ...prefixed(convShapes(3, width, patchSize), 'embeddings.patch_embeddings.projection'),
    ...repeatedShapes('encoder.layer', depth, layer),
  };
}

/** SigLIP 2 at 256 pixels, without its last norm, with the head that pools. */
export function siglip2Shapes({ width, depth, hidden, patchSize }: EncoderSizes): Shapes {
  const square = linearShapes(width, width);
  const mlp = { 'mlp.fc1': linearShapes(width, hidden), 'mlp.fc2': linearShapes(hidden, width) };
  const layer = named({
    layer_norm1: normShapes(width),
    'self_attn.q_proj': square,
    'self_attn.k_proj': square,
    'self_attn.v_proj': square,
    'self_attn.out_proj': square,
    layer_norm2: normShapes(width),
    ...mlp,
  });
  const head: Shapes = {
    probe: [1, 1, width],
    'attention.in_proj_weight': [3 * width, width],
    'attention.in_proj_bias': [3 * width],
    ...named({ 'attention.out_proj': square, layernorm: normShapes(width), ...mlp }),
  };
  const whole: Shapes = {
    ...prefixed(convShapes(3, width, patchSize), 'embeddings.patch_embedding'),
    'embeddings.position_embedding.weight': [(256 / patchSize) ** 2, width],
    ...repeatedShapes('encoder.layers', depth, layer),
    ...prefixed(head, 'head'),
  };
  return prefixed(whole, 'vision_model');
}

/** The encoder of ViT-MAE, without its last norm. */
export function maeShapes({ width, depth, hidden, patchSize }: EncoderSizes): Shapes {
  const layer: Shapes = {
    ...olderAttention(width),
    ...named({
      layernorm_before: normShapes(width),
      layernorm_after: normShapes(width),
      'intermediate.dense': linearShapes(width, hidden),
      'output.dense': linearShapes(hidden, width),
    }),
  };
  return {
    'embeddings.cls_token': [1, 1, width],
    'embeddings.position_embeddings': [1, 1 + (224 / patchSize) ** 2, width],
    ...prefixed(convShapes(3, width, patchSize), 'embeddings.patch_embeddings.projection'),
    ...repeatedShapes('encoder.layer', depth, layer),
  };
}

/** DINOv3 whose MLP has no gate. Its last norm is in the file and is not used. */
export function dinov3Shapes({ width, depth, hidden, patchSize }: EncoderSizes): Shapes {
  const square = linearShapes(width, width);
  const layer: Shapes = {
    ...named({
      norm1: normShapes(width),
      'attention.q_proj': square,
      'attention.k_proj': linearShapes(width, width, false),
      'attention.v_proj': square,
      'attention.o_proj': square,
      norm2: normShapes(width),
      'mlp.up_proj': linearShapes(width, hidden),
      'mlp.down_proj': linearShapes(hidden, width),
    }),
    'layer_scale1.lambda1': [width],
    'layer_scale2.lambda1': [width],
  };
  return {
    'embeddings.cls_token': [1, 1, width],
    'embeddings.mask_token': [1, 1, width],
    'embeddings.register_tokens': [1, 4, width],
    ...prefixed(convShapes(3, width, patchSize), 'embeddings.patch_embeddings'),
    ...repeatedShapes('layer', depth, layer),
    ...prefixed(normShapes(width), 'norm'),
  };
}

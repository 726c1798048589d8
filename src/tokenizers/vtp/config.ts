import { z } from 'zod';
import { UserError } from '../../base/index.js';
import { checked } from '../../io/index.js';
import { only } from '../config-field.js';

/** One stack of transformer blocks with rotary positions; what its blocks consist of shows in its weights. */
export interface VtpStack {
  width: number;
  depth: number;
  heads: number;
  /** Width of the MLP's hidden layer. */
  hidden: number;
  /** SwiGLU or two layers with a GELU between. */
  gated: boolean;
  norm: 'rms' | 'layer';
  eps: number;
  /** Whether queries and keys are normalised per head. */
  qkNorm: boolean;
  layerScale: boolean;
}

/** VTP (Yao et al. 2025): a vision transformer with a bottleneck, and a pixel decoder. */
export interface VtpConfig {
  imageSize: number;
  patchSize: number;
  channels: number;
  /** Class token and storage tokens before the patches. */
  storageTokens: number;
  encoder: VtpStack;
  decoder: VtpStack;
  /** Side of the pixels that a decoded token stands for. */
  upscale: number;
}

type Weights = Record<string, { shape: number[] }>;

/** Epsilons by the names of the authors' norms. */
const NORMS = { layernorm: 1e-6, layernormbf16: 1e-5, rmsnorm: 1e-5 } as const;
const FFNS = ['mlp', 'swiglu', 'swiglu32', 'swiglu64', 'swiglu128'] as const;

const size = z.number().int().positive();
const norm = z.enum(['layernorm', 'layernormbf16', 'rmsnorm']);

const FIELDS = z.object({
  image_size: size.default(256),
  train_reconstruction: only(true),
  vision_depth: size.optional(),
  vision_embed_dim: size.optional(),
  vision_num_heads: size.optional(),
  vision_norm_layer: norm.optional(),
  vision_ffn_layer: z.enum(FFNS).optional(),
  vision_patch_size: size.optional(),
  vision_feature_bottleneck: size.optional(),
  decoder_depth: size.optional(),
  decoder_embed_dim: size.optional(),
  decoder_num_heads: size.optional(),
  decoder_norm_layer: norm.optional(),
  decoder_ffn_layer: z.enum(FFNS).optional(),
});

export const isVtp = (keys: readonly string[]): boolean =>
  keys.includes('trunk.patch_embed.proj.weight') && keys.includes('pixel_decoder.proj_in.weight');

/** The config.json beside the weights, completed from their shapes. */
export function readVtpConfig(name: string, raw: Record<string, unknown>, weights: Weights): VtpConfig {
  const fields = checked(`${name}: config`, raw, FIELDS);
  const side = (key: string, axis: number): number => {
    if (!Object.hasOwn(weights, key)) throw new UserError(`${name}: tensor '${key}' is missing; is the file complete?`);
    return weights[key].shape[axis];
  };
  return {
    imageSize: fields.image_size,
    patchSize: fields.vision_patch_size ?? side('trunk.patch_embed.proj.weight', 2),
    channels: fields.vision_feature_bottleneck ?? side('pixel_decoder.proj_in.weight', 1),
    storageTokens: Object.hasOwn(weights, 'trunk.storage_tokens') ? side('trunk.storage_tokens', 1) : 0,
    encoder: stack(name, weights, 'trunk', {
      width: fields.vision_embed_dim ?? side('trunk.patch_embed.proj.weight', 0),
      depth: fields.vision_depth,
      heads: fields.vision_num_heads,
      norm: fields.vision_norm_layer,
      ffn: fields.vision_ffn_layer,
    }),
    decoder: stack(name, weights, 'pixel_decoder', {
      width: fields.decoder_embed_dim ?? side('pixel_decoder.proj_in.weight', 0),
      depth: fields.decoder_depth,
      heads: fields.decoder_num_heads,
      norm: fields.decoder_norm_layer,
      ffn: fields.decoder_ffn_layer,
    }),
    upscale: Math.sqrt(side('pixel_decoder.proj_out.weight', 0) / 3),
  };
}

/** What a config says of a stack. */
interface Told {
  width: number;
  depth: number | undefined;
  heads: number | undefined;
  norm: keyof typeof NORMS | undefined;
  ffn: (typeof FFNS)[number] | undefined;
}

function stack(name: string, weights: Weights, prefix: string, { width, depth, heads, norm, ffn }: Told): VtpStack {
  const first = `${prefix}.blocks.0`;
  const has = (key: string): boolean => Object.hasOwn(weights, `${first}.${key}`);
  let found = 0;
  while (Object.hasOwn(weights, `${prefix}.blocks.${found}.attn.qkv.weight`)) found++;
  const gated = ffn === undefined ? has('mlp.w3.weight') : ffn !== 'mlp';
  const seen = has('norm1.bias') ? 'layernorm' : 'rmsnorm';
  const last = `${first}.mlp.${gated ? 'w3' : 'fc2'}.weight`;
  if (!Object.hasOwn(weights, last)) throw new UserError(`${name}: tensor '${last}' is missing; is the file complete?`);
  const perHead = weights[`${first}.attn.q_norm.weight`] as { shape: number[] } | undefined;
  return {
    width,
    depth: depth ?? found,
    heads: heads ?? width / (perHead?.shape[0] ?? PUBLISHED_HEAD),
    hidden: weights[last].shape[1],
    gated,
    norm: (norm ?? seen) === 'rmsnorm' ? 'rms' : 'layer',
    eps: NORMS[norm ?? seen],
    qkNorm: perHead !== undefined,
    layerScale: has('ls1.gamma'),
  };
}

/** Numbers of a head in every published size. */
const PUBLISHED_HEAD = 64;

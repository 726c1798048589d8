import { z } from 'zod';
import { isRecord, UserError } from '../../base/index.js';
import { configFields, only } from '../config-field.js';

/** What the decoder's forward pass needs besides its weights. */
export interface RaeDecoder {
  heads: number;
  patchSize: number;
  eps: number;
}

/** Everything but weights and the encoder's own config; plain values, as they stand in a run's config.yaml. */
export interface RaeConfig {
  /** Side to which pictures are resized for the encoder. */
  inputSize: number;
  /** What the encoder's pixels in [0, 1] are standardised by. */
  mean: number[];
  std: number[];
  /** Blocks whose normalised tokens are averaged (RAEv2), counted from 0; absent: the last one's are taken as they are. */
  layers?: number[] | undefined;
  /** Latent tokens along a side. */
  side: number;
  decoder: RaeDecoder;
  /** Whether decoded numbers are on the scale of the encoder's pixels, as RAE's are, or pixels in [0, 1] (RAEv2). */
  standardised: boolean;
}

const size = z.number().int().positive();
const three = z.array(z.number()).length(3, { error: 'must have a number for each of red, green and blue' });

/** Fields of diffusers' config, of the authors' YAML (`stage_1.params`) and of their decoders' config.json. */
const FIELDS = z.object({
  encoder_type: z
    .enum(['dinov2', 'siglip2', 'mae'], {
      error: ({ input }) => `${JSON.stringify(input)} is not supported; only dinov2, siglip2, mae are`,
    })
    .nullish(),
  encoder_hidden_size: size.nullish(),
  encoder_patch_size: size.nullish(),
  encoder_num_hidden_layers: size.nullish(),
  encoder_input_size: size.nullish(),
  encoder_norm_mean: three.nullish(),
  encoder_norm_std: three.nullish(),
  encoder_name: z.string().nullish(),
  decoder_hidden_size: size.nullish(),
  decoder_num_hidden_layers: size.nullish(),
  decoder_num_attention_heads: size.nullish(),
  decoder_intermediate_size: size.nullish(),
  decoder_patch_size: size.nullish(),
  patch_size: size.nullish(),
  image_size: size.nullish(),
  resolution: size.nullish(),
  num_channels: only(3),
  reshape_to_2d: z.boolean().nullish(),
  scaling_factor: z.number().nullish(),
  layer_norm_eps: z.number().positive().nullish(),
  hidden_act: only('gelu'),
  qkv_bias: only(true),
});
export type RaeFields = z.output<typeof FIELDS>;

/** Fields that say nothing about encoding and decoding, or are read elsewhere. */
const ELSEWHERE = new Set([
  ...['latents_mean', 'latents_std', 'noise_tau', 'use_encoder_loss'],
  // Of the authors' YAML, paths and what our own reading of the encoder tells; of a decoder's config.json, ViT-MAE's.
  ...['encoder_cls', 'encoder_config_path', 'encoder_params', 'decoder_config_path', 'pretrained_decoder_path'],
  ...['normalization_stat_path', 'eps', 'architectures', 'model_type', 'norm_pix_loss', 'initializer_range'],
  ...['attention_probs_dropout_prob', 'hidden_dropout_prob', 'hidden_size', 'intermediate_size', 'mask_ratio'],
  ...['num_hidden_layers', 'num_attention_heads', 'torch_dtype', 'dtype', 'transformers_version'],
]);

/**
 * What an RAE's config says. @throws UserError for a field that is wrong, or, of diffusers' class, one that is not known
 * here and may change the numbers.
 */
export function raeFields(name: string, raw: Record<string, unknown>): RaeFields {
  const fields = innermost(raw);
  const strange = Object.entries(fields).find(
    ([key, value]) => value !== null && !key.startsWith('_') && !(key in FIELDS.shape) && !ELSEWHERE.has(key),
  );
  if (strange)
    throw new UserError(
      `${name}: config field ${strange[0]}: is not known of an RAE (${JSON.stringify(strange[1])}); set it to null if it does not change the numbers`,
    );
  return configFields(name, FIELDS, fields);
}

/** Recorded cases keep the fields under `parameters`, the authors' YAML under `stage_1.params`. */
export function innermost(raw: Record<string, unknown>): Record<string, unknown> {
  const stage = raw.stage_1;
  const inner = [raw.parameters, isRecord(stage) ? stage.params : undefined].find(isRecord);
  return inner ?? raw;
}

/** transformers' config of the encoders that diffusers builds; what is not said here is told by the weights. */
const ENCODERS = {
  dinov2: { model_type: 'dinov2_with_registers', num_register_tokens: 4, layer_norm_eps: 1e-6, image_size: 518 },
  siglip2: { model_type: 'siglip_vision_model', layer_norm_eps: 1e-6, image_size: 256 },
  mae: { model_type: 'vit_mae', layer_norm_eps: 1e-12, image_size: 224 },
};

/** Every encoder that diffusers builds has heads of so many numbers. */
const HEAD = 64;

/** The config of the encoder within diffusers' AutoencoderRAE, as transformers would have it. */
export function encoderFields(fields: RaeFields, width: number): Record<string, unknown> {
  return {
    ...ENCODERS[fields.encoder_type ?? 'dinov2'],
    hidden_size: fields.encoder_hidden_size ?? width,
    num_attention_heads: (fields.encoder_hidden_size ?? width) / HEAD,
    num_hidden_layers: fields.encoder_num_hidden_layers ?? undefined,
    patch_size: fields.encoder_patch_size ?? undefined,
  };
}

/** RAEv2's name of an encoder whose layers are averaged: `dinov3mls-vit-l16[layers=11.13.15.17.19.21.23]`. */
const AVERAGED = /^dinov3mls-vit-\w+\[layers=([\d.]+)\]$/;

/** The layers in RAEv2's `encoder_name`. @throws UserError for its other encoders. */
export function averagedLayers(name: string, encoder: string): number[] {
  const found = AVERAGED.exec(encoder);
  if (found) return found[1].split('.').map(Number);
  throw new UserError(
    `${name}: config field encoder_name: '${encoder}' is not supported; only dinov3mls-vit-…[layers=A.B.…] is`,
  );
}

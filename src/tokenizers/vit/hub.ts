import { z } from 'zod';
import { UserError } from '../../base/index.js';
import { configFields } from '../config-field.js';
import { CODEWORDS } from './codebook.js';
import { vitConfigSchema, type VitConfig } from './config.js';

/*
 * The published models' own config.json (the options of their PyTorch class, flat) beside their weights. What the
 * weights show is taken from them, what the config says beats it, so that a wrong one is noticed on loading.
 */

interface Shaped {
  shape: number[];
}

type Weights = Record<string, Shaped>;

/** Replaces the sizes of a named backbone, as recorded cases do to keep models small. */
export type Backbones = Record<string, { embed_dim: number; depth: number; num_heads: number }>;

const size = z.number().int().positive();

/** Fields of the published config that matter here. */
const HUB = z.object({
  image_size: size.optional(),
  enc_patch_size: size.optional(),
  codebook_embed_dim: size.optional(),
  num_latent_tokens: z.number().int().nonnegative().optional(),
  encoder_model: z.string().optional(),
  decoder_model: z.string().optional(),
  aux_dec_model: z.string().optional(),
  use_rope: z.boolean().optional(),
  rope_mixed: z.boolean().optional(),
  rope_theta: z.number().positive().optional(),
  dec_cls_token: z.boolean().optional(),
  aux_dec_cls_token: z.boolean().optional(),
  to_pixel: z.literal('linear', { error: 'only the linear readout is supported' }).optional(),
  codebook_l2_norm: z.boolean().optional(),
  tau: z.number().positive().optional(),
  vq_mean: z.number().optional(),
  vq_std: z.number().positive().optional(),
});

type Hub = z.output<typeof HUB>;

/** Whether these are the keys of a ViT tokenizer of the published code. */
export const isVit = (keys: readonly string[]): boolean =>
  keys.includes('encoder.model.patch_embed.proj.weight') && keys.includes('decoder.to_pixel.model.weight');

/** The config of published weights. @throws UserError where a field cannot be right. */
export function readHubConfig(
  name: string,
  raw: Record<string, unknown>,
  weights: Weights,
  backbones: Backbones = {},
): VitConfig {
  const hub = configFields(name, HUB, raw);
  const shown = shownByWeights(weights);
  const [imageSize, patchSize] = [hub.image_size ?? shown.imageSize, hub.enc_patch_size ?? shown.patchSize];
  return configFields(name, vitConfigSchema, {
    ...shown,
    imageSize,
    patchSize,
    latentTokens: hub.num_latent_tokens ?? shown.latentTokens,
    latentChannels: hub.codebook_embed_dim ?? shown.latentChannels,
    positions: positionsOf(hub) ?? shown.positions,
    ropeTheta: hub.rope_theta ?? 10,
    encoder: { ...shown.encoder, ...backbone(hub.encoder_model, backbones) },
    decoder: {
      ...shown.decoder,
      ...backbone(hub.decoder_model, backbones),
      classToken: hub.dec_cls_token ?? shown.decoder.classToken,
    },
    aux: shown.aux && {
      ...shown.aux,
      ...backbone(hub.aux_dec_model, backbones),
      classToken: hub.aux_dec_cls_token ?? shown.aux.classToken,
    },
    codebook: readCodebook(name, hub, weights),
    latentMean: hub.vq_mean ?? 0,
    latentStd: hub.vq_std ?? 1,
  });
}

/** SoftVQ's codewords are in the file, what is done with them is in its config alone. */
function readCodebook(name: string, { tau, codebook_l2_norm: unitLength }: Hub, weights: Weights): unknown {
  if (Object.hasOwn(weights, `${CODEWORDS}.weight`))
    throw new UserError(`${name}: has a discrete codebook; only continuous latents are supported (SoftVQ, AE, KL)`);
  if (!Object.hasOwn(weights, CODEWORDS)) return undefined;
  if (tau === undefined || unitLength === undefined)
    throw new UserError(
      `${name}: its config does not say ${tau === undefined ? 'tau' : 'codebook_l2_norm'}, on which SoftVQ's latents depend; give the model's config.json by --tokenizer-config`,
    );
  const [parts, codewords] = weights[CODEWORDS].shape;
  return { parts, codewords, temperature: tau, unitLength };
}

function positionsOf({ use_rope: rotary, rope_mixed: mixed }: Hub): VitConfig['positions'] | undefined {
  if (rotary === undefined) return undefined;
  if (!rotary) return 'absolute';
  return (mixed ?? true) ? 'rope-mixed' : 'rope-axial';
}

/** Width, depth and heads by the size in a backbone's name, e.g. `vit_base_patch14_dinov2_movqv2`. */
const SIZES: Record<string, [width: number, depth: number, heads: number]> = {
  tinytiny: [192, 3, 3],
  tiny: [192, 12, 3],
  small: [384, 12, 6],
  base: [768, 12, 12],
  large: [1024, 24, 16],
};

function backbone(model: string | undefined, overrides: Backbones): Partial<VitConfig['encoder']> {
  if (model === undefined) return {};
  if (Object.hasOwn(overrides, model)) {
    const { embed_dim: width, depth, num_heads: heads } = overrides[model];
    return { width, depth, heads };
  }
  const named = /^vit_([a-z]+)_/.exec(model)?.[1] ?? '';
  if (!Object.hasOwn(SIZES, named)) return {};
  const [width, depth, heads] = SIZES[named];
  return { width, depth, heads };
}

/** Features of one head where nothing says otherwise: every published size has 64. */
const HEAD = 64;

type Shown = Omit<VitConfig, 'ropeTheta' | 'codebook' | 'latentMean' | 'latentStd'>;

/** The part of the config that keys and shapes determine. Rotary positions with fixed frequencies leave no trace. */
function shownByWeights(weights: Weights): Shown {
  const side = (key: string, axis: number): number => (Object.hasOwn(weights, key) ? weights[key].shape[axis] : 0);
  const depth = (prefix: string): number => {
    let layers = 0;
    while (Object.hasOwn(weights, `${prefix}.model.blocks.${layers}.attn.qkv.weight`)) layers++;
    return layers;
  };
  const stack = (prefix: string, width: number): Shown['encoder'] => ({
    width,
    depth: depth(prefix),
    heads: Math.max(1, Math.round(width / HEAD)),
  });
  const isModulated = Object.hasOwn(weights, 'decoder.model.blocks.0.adaLN_modulation.1.weight');
  const patchSize = side('encoder.model.patch_embed.proj.weight', 2);
  const latentChannels = side('post_quant_conv.weight', 1);
  const targets = Object.keys(weights).flatMap(key => /^to_pixel_(\w+)\.weight$/.exec(key)?.[1] ?? []);
  const auxWidth = side(`to_pixel_${targets[0]}.weight`, 1);
  return {
    imageSize: Math.round(Math.sqrt(side('encoder.model.pos_embed', 1) - 1)) * patchSize,
    patchSize,
    latentTokens: side('encoder.latent_tokens', 1),
    latentChannels,
    posterior: side('quant_conv.weight', 0) === 2 * latentChannels ? 'gaussian' : 'none',
    positions: Object.hasOwn(weights, 'encoder.freqs') ? 'rope-mixed' : 'absolute',
    encoder: stack('encoder', side('encoder.model.pos_embed', 2)),
    decoder: {
      ...stack('decoder', side('decoder.to_pixel.model.weight', 1)),
      kind: isModulated ? 'movq' : 'plain',
      classToken: Object.hasOwn(weights, 'decoder.model.cls_token'),
    },
    maskToken: Object.hasOwn(weights, 'encoder.mask_token'),
    ...(targets.length > 0
      ? {
          aux: {
            ...stack(`decoder_${targets[0]}`, auxWidth),
            // The authors' are always of this kind.
            kind: 'movq' as const,
            classToken: Object.hasOwn(weights, `decoder_${targets[0]}.model.cls_token`),
            targets: Object.fromEntries(targets.map(target => [target, side(`to_pixel_${target}.weight`, 0)])),
          },
        }
      : {}),
  };
}

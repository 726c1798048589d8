import { z } from 'zod';
import { UserError } from '../../base/index.js';
import type { HostArray } from '../../nn/index.js';
import { configFields, only } from '../config-field.js';
import { scalarNormalisation, type Normalisation } from '../normalisation.js';
import { BATCH_NORM_EPS, batchNormalisation } from './batch-norm.js';
import type { NormConfig } from './model.js';
import type { Spelling } from './keys.js';
import type { LdmArchitecture } from './shapes.js';

/** Everything that encoding and decoding need besides the weights. */
export interface LdmConfig {
  architecture: LdmArchitecture;
  norm: NormConfig;
  /** Side of the images that it was made for. */
  imageSize: number;
  normalisation: Normalisation;
}

/**
 * The config that `raw` spells out (diffusers' config.json, the YAML of latent diffusion and LightningDiT, or MAETok's
 * hub config), completed from the weights, whose keys are the latent-diffusion ones.
 */
export function readLdmConfig(
  name: string,
  raw: Record<string, unknown>,
  weights: Record<string, HostArray>,
  spelling: Spelling,
): LdmConfig {
  const fields = configFields(name, FIELDS, flattened(raw));
  const found = architectureOf(name, weights);
  const architecture = { ...found, ...toldByConfig(fields, found) };
  return {
    architecture,
    norm: {
      groups: fields.norm_num_groups ?? fields.group_norm_groups ?? 32,
      eps: fields.norm_eps ?? fields.group_norm_eps ?? 1e-6,
    },
    imageSize: fields.image_size ?? fields.resolution ?? fields.sample_size ?? 256,
    normalisation: architecture.patch
      ? batchNormalisation(name, weights, fields.batch_norm_eps ?? BATCH_NORM_EPS)
      : scaling(fields, found, spelling),
  };
}

const size = z.number().int().positive();
const FIELDS = z.object({
  ch: size.optional(),
  ch_mult: z.array(size).optional(),
  encoder_ch_mult: z.array(size).optional(),
  decoder_ch_mult: z.array(size).optional(),
  num_res_blocks: size.optional(),
  attn_resolutions: z.array(size).optional(),
  resolution: size.optional(),
  z_channels: size.optional(),
  embed_dim: size.optional(),
  block_out_channels: z.array(size).optional(),
  layers_per_block: size.optional(),
  latent_channels: size.optional(),
  norm_num_groups: size.optional(),
  group_norm_groups: size.optional(),
  group_norm_eps: z.number().positive().optional(),
  norm_eps: z.number().positive().optional(),
  decoder_block_out_channels: z.array(size).nullish(),
  mid_block_add_attention: z.boolean().nullish(),
  batch_norm_eps: z.number().positive().nullish(),
  patch_size: z.union([size, z.tuple([size, size])]).nullish(),
  sample_size: size.optional(),
  image_size: size.optional(),
  scaling_factor: z.number().nullish(),
  shift_factor: z.number().nullish(),
  vq_mean: z.number().optional(),
  vq_std: z.number().optional(),
  use_quant_conv: z.boolean().nullish(),
  use_post_quant_conv: z.boolean().nullish(),
  // Switches that are run in their published position only.
  act_fn: only('silu'),
  attn_type: only('vanilla', 'vanilla-xformers', 'memory-efficient-cross-attn'),
  use_linear_attn: only(false),
  resamp_with_conv: only(true),
  tanh_out: only(false),
  give_pre_end: only(false),
});
type Fields = z.output<typeof FIELDS>;

/** The YAML files of latent diffusion nest what they say. */
function flattened(raw: Record<string, unknown>): Record<string, unknown> {
  const nested = ['model', 'params', 'ddconfig', 'parameters'].flatMap(key => {
    const value = raw[key];
    return value !== null && typeof value === 'object' ? [flattened(value as Record<string, unknown>)] : [];
  });
  return Object.assign({}, raw, ...nested) as Record<string, unknown>;
}

/** Depths, widths and attention as the keys and shapes of the weights show them. */
function architectureOf(name: string, weights: Record<string, HostArray>): LdmArchitecture {
  const shape = (key: string): number[] => {
    if (!Object.hasOwn(weights, key)) throw new UserError(`${name}: tensor '${key}' is missing; is the file complete?`);
    return weights[key].shape;
  };
  const count = (prefix: string): number => {
    let n = 0;
    while (Object.hasOwn(weights, `${prefix}.${n}.block.0.conv1.weight`)) n++;
    return n;
  };
  const ch = shape('encoder.conv_in.weight')[0];
  const multiples = (prefix: string): number[] =>
    Array.from({ length: count(prefix) }, (_, level) => shape(`${prefix}.${level}.block.0.conv1.weight`)[0] / ch);
  const chMult = multiples('encoder.down');
  const attends = chMult.flatMap((_, level) =>
    Object.hasOwn(weights, `encoder.down.${level}.attn.0.norm.weight`) ? [NOMINAL / 2 ** level] : [],
  );
  let numResBlocks = 0;
  while (Object.hasOwn(weights, `encoder.down.0.block.${numResBlocks}.conv1.weight`)) numResBlocks++;

  const quantConv = Object.hasOwn(weights, 'quant_conv.weight');
  const postQuantConv = Object.hasOwn(weights, 'post_quant_conv.weight');
  const zChannels = shape('decoder.conv_in.weight')[1];
  const embedDim = postQuantConv ? shape('post_quant_conv.weight')[1] : zChannels;
  const given = shape(quantConv ? 'quant_conv.weight' : 'encoder.conv_out.weight')[0];
  return {
    ch,
    chMult,
    decoderChMult: multiples('decoder.up'),
    numResBlocks,
    attnResolutions: attends,
    resolution: NOMINAL,
    zChannels,
    encoderChannels: shape('encoder.conv_out.weight')[0],
    embedDim,
    moments: given === embedDim ? 1 : 2,
    quantConv,
    postQuantConv,
    middleAttends: Object.hasOwn(weights, 'encoder.mid.attn_1.norm.weight'),
    patch: Object.hasOwn(weights, 'bn.running_mean') ? squarePatch(shape('bn.running_mean')[0] / embedDim) : undefined,
  };
}

const squarePatch = (positions: number): [number, number] => [Math.sqrt(positions), Math.sqrt(positions)];

/** Large enough to be halved at every level. */
const NOMINAL = 2 ** 16;

/** The config's architecture takes precedence over what the weights show, so that a wrong config is noticed. */
function toldByConfig(fields: Fields, found: LdmArchitecture): Partial<LdmArchitecture> {
  const { block_out_channels: widths, encoder_ch_mult: encoderMult } = fields;
  const told: Partial<LdmArchitecture> = {};
  if (widths) Object.assign(told, { ch: widths[0], ...same(widths.map(width => width / widths[0])) });
  if (widths && fields.decoder_block_out_channels)
    told.decoderChMult = fields.decoder_block_out_channels.map(width => width / widths[0]);
  if (fields.layers_per_block) told.numResBlocks = fields.layers_per_block;
  if (fields.latent_channels) Object.assign(told, latentChannels(fields.latent_channels, found));
  if (fields.ch_mult) Object.assign(told, same(fields.ch_mult));
  if (encoderMult) told.chMult = encoderMult;
  if (fields.decoder_ch_mult) told.decoderChMult = fields.decoder_ch_mult;
  if (fields.ch) told.ch = fields.ch;
  if (fields.num_res_blocks) told.numResBlocks = fields.num_res_blocks;
  if (fields.attn_resolutions && fields.resolution)
    Object.assign(told, { attnResolutions: fields.attn_resolutions, resolution: fields.resolution });
  if (fields.embed_dim) told.embedDim = fields.embed_dim;
  if (fields.z_channels) told.zChannels = fields.z_channels;
  if (typeof fields.mid_block_add_attention === 'boolean') told.middleAttends = fields.mid_block_add_attention;
  if (fields.patch_size)
    told.patch = typeof fields.patch_size === 'number' ? [fields.patch_size, fields.patch_size] : fields.patch_size;
  if (typeof fields.use_quant_conv === 'boolean') told.quantConv = fields.use_quant_conv;
  if (typeof fields.use_post_quant_conv === 'boolean') told.postQuantConv = fields.use_post_quant_conv;
  return told;
}

const same = (chMult: number[]): Partial<LdmArchitecture> => ({ chMult, decoderChMult: chMult });

const latentChannels = (channels: number, { moments }: LdmArchitecture): Partial<LdmArchitecture> => ({
  embedDim: channels,
  zChannels: channels,
  encoderChannels: moments * channels,
});

/** Stable Diffusion's factor where a 4-channel autoencoder comes without a config. */
const SD_SCALE = 0.18215;

function scaling(fields: Fields, { embedDim }: LdmArchitecture, spelling: Spelling): Normalisation {
  if (fields.vq_std !== undefined || fields.vq_mean !== undefined)
    return scalarNormalisation(fields.vq_mean ?? 0, 1 / (fields.vq_std ?? 1), 'config vq_mean, vq_std');
  const [shift, scale] = [fields.shift_factor ?? 0, fields.scaling_factor];
  if (isNumber(scale)) return scalarNormalisation(shift, scale, 'config scaling_factor, shift_factor');
  const isStableDiffusion = embedDim === 4 && spelling !== 'maetok';
  return scalarNormalisation(
    shift,
    isStableDiffusion ? SD_SCALE : 1,
    isStableDiffusion ? 'Stable Diffusion’s factor' : 'none',
  );
}

const isNumber = (value: number | null | undefined): value is number => typeof value === 'number';

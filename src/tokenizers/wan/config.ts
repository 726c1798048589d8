import { z } from 'zod';
import { UserError } from '../../base/index.js';
import { children, under } from '../../nn/index.js';
import { configFields } from '../config-field.js';
import { UNNORMALISED, type Normalisation } from '../normalisation.js';
import type { WanArchitecture } from './shapes.js';
import { publishedStatistics } from './statistics.js';

interface Shaped {
  shape: number[];
}
type Weights = Record<string, Shaped>;

/** Everything that encoding and decoding need besides the weights. */
export interface WanConfig {
  architecture: WanArchitecture;
  /** What latents are normalised with unless the config has statistics. */
  normalisation: Normalisation;
  /** Pixels per latent position along a side. */
  factor: number;
  /** Which of the two published systems with this network the config is of. */
  isQwenImage: boolean;
}

/** The config that diffusers' config.json spells out, completed from the weights, whose keys are diffusers' names. */
export function readWanConfig(name: string, raw: Record<string, unknown>, weights: Weights): WanConfig {
  const fields = configFields(name, FIELDS, { ...raw, ...(raw.parameters as object | undefined) });
  const found = architectureOf(name, weights);
  const architecture = { ...found, ...toldByConfig(fields) };
  checkColours(name, fields, architecture);
  return {
    architecture,
    normalisation: isTold(fields) ? UNNORMALISED : publishedStatistics(architecture),
    factor: architecture.patchSize * 2 ** (architecture.dimMult.length - 1),
    // Of the two classes only Qwen-Image's calls the colours `input_channels`.
    isQwenImage: fields._class_name === 'AutoencoderKLQwenImage' || fields.input_channels !== undefined,
  };
}

/** Whether the config says anything of statistics, null included, which openTokenizer reads. */
const isTold = (fields: Fields): boolean => fields.latents_mean !== undefined || fields.latents_std !== undefined;

const size = z.number().int().positive();
const FIELDS = z.object({
  _class_name: z.string().optional(),
  base_dim: size.optional(),
  decoder_base_dim: size.nullish(),
  z_dim: size.optional(),
  dim_mult: z.array(size).optional(),
  num_res_blocks: size.optional(),
  attn_scales: z.array(z.number()).optional(),
  temperal_downsample: z.array(z.boolean()).optional(),
  is_residual: z.boolean().nullish(),
  patch_size: size.nullish(),
  latents_mean: z.unknown(),
  latents_std: z.unknown(),
  input_channels: size.optional(),
  in_channels: size.optional(),
  out_channels: size.optional(),
});
type Fields = z.output<typeof FIELDS>;

/** The config takes precedence over what the weights show, so that a wrong config is noticed. */
function toldByConfig(fields: Fields): Partial<WanArchitecture> {
  const told: Partial<WanArchitecture> = {};
  if (fields.base_dim) Object.assign(told, { baseDim: fields.base_dim, decoderBaseDim: fields.base_dim });
  if (fields.decoder_base_dim) told.decoderBaseDim = fields.decoder_base_dim;
  if (fields.z_dim) told.zDim = fields.z_dim;
  if (fields.dim_mult) told.dimMult = fields.dim_mult;
  if (fields.num_res_blocks) told.numResBlocks = fields.num_res_blocks;
  if (fields.attn_scales) told.attnScales = fields.attn_scales;
  if (fields.temperal_downsample) told.temporalDownsample = fields.temperal_downsample;
  if (typeof fields.is_residual === 'boolean') told.isResidual = fields.is_residual;
  if (fields.patch_size) told.patchSize = fields.patch_size;
  return told;
}

/** @throws UserError for pictures of other than three colours. */
function checkColours(name: string, fields: Fields, { patchSize }: WanArchitecture): void {
  const channels = 3 * patchSize ** 2;
  for (const field of ['input_channels', 'in_channels', 'out_channels'] as const) {
    const told = fields[field] ?? channels;
    if (told !== channels)
      throw new UserError(
        `${name}: config field ${field}: ${told} is not supported; only ${channels} is (three colours, patch_size ${patchSize})`,
      );
  }
}

/** Depths, widths and attention as the keys and shapes of the weights show them. */
function architectureOf(name: string, weights: Weights): WanArchitecture {
  const shape = (key: string): number[] => {
    if (!Object.hasOwn(weights, key)) throw new UserError(`${name}: tensor '${key}' is missing; is the file complete?`);
    return weights[key].shape;
  };
  const baseDim = shape('encoder.conv_in.weight')[0];
  const isResidual = Object.keys(weights).some(key => key.startsWith('encoder.down_blocks.0.resnets.'));
  const levels = encoderLevels(children(weights, 'encoder.down_blocks'), isResidual);
  const dimMult = levels.map(({ blocks }) => (blocks.find(isResidualBlock)?.['conv1.weight'].shape[0] ?? 0) / baseDim);
  return {
    baseDim,
    decoderBaseDim: shape('decoder.conv_in.weight')[0] / dimMult[dimMult.length - 1],
    zDim: shape('post_quant_conv.weight')[0],
    dimMult,
    numResBlocks: levels[0].blocks.filter(isResidualBlock).length,
    attnScales: levels.flatMap(({ blocks }, level) =>
      blocks.some(block => 'to_qkv.weight' in block) ? [2 ** -level] : [],
    ),
    temporalDownsample: levels.slice(0, -1).map(({ down }) => 'time_conv.weight' in down),
    isResidual,
    patchSize: Math.sqrt(shape('encoder.conv_in.weight')[1] / 3),
  };
}

interface Level {
  blocks: Weights[];
  /** Its resampling block; empty in the last. */
  down: Weights;
}

/** A level as a module of its own (Wan 2.2), or ended by a resampling block in a flat list. */
function encoderLevels(listed: Weights[], isResidual: boolean): Level[] {
  if (isResidual)
    return listed.map(level => ({ blocks: children(level, 'resnets'), down: under(level, 'downsampler') }));
  const levels: Level[] = [{ blocks: [], down: {} }];
  for (const block of listed) {
    const current = levels[levels.length - 1];
    if (!('resample.1.weight' in block)) {
      current.blocks.push(block);
      continue;
    }
    current.down = block;
    levels.push({ blocks: [], down: {} });
  }
  return levels;
}

const isResidualBlock = (block: Weights): boolean => 'conv1.weight' in block;

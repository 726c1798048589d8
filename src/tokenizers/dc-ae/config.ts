import { z } from 'zod';
import { UserError } from '../../base/index.js';
import { children } from '../../nn/index.js';
import { configFields, only } from '../config-field.js';
import type { DcAeConfig } from './model.js';
import type { DcAeArchitecture, Side } from './shapes.js';

/** Everything that encoding and decoding need besides the weights. */
export interface LoadedConfig {
  architecture: DcAeArchitecture;
  model: DcAeConfig;
  /** Latents handed on are z · scale; undefined where neither config nor published models tell. */
  scale: number | undefined;
  /** Pixels per latent position along a side. */
  factor: number;
}

interface Shaped {
  shape: number[];
}
type Weights = Record<string, Shaped>;

/** The config that diffusers' config.json spells out, completed from the weights, whose keys are diffusers' names. */
export function readDcAeConfig(name: string, raw: Record<string, unknown>, weights: Weights): LoadedConfig {
  const fields = configFields(name, FIELDS, { ...raw, ...(raw.parameters as object | undefined) });
  const found = architectureOf(name, weights);
  const architecture: DcAeArchitecture = {
    latentChannels: fields.latent_channels ?? found.latentChannels,
    headDim: fields.attention_head_dim ?? found.headDim,
    encoder: sideOf(fields, 'encoder', found.encoder),
    decoder: sideOf(fields, 'decoder', found.decoder),
    downsample: fields.downsample_block_type ?? found.downsample,
    upsample: fields.upsample_block_type ?? found.upsample,
  };
  const { headDim, downsample, upsample, encoder, decoder } = architecture;
  // Published decoders follow batch norm by ReLU, RMS norm by SiLU.
  const decoderActivation =
    fields.decoder_act_fns ?? decoder.norms.map(norm => (norm === 'batch' ? ('relu' as const) : ('silu' as const)));
  const factor = 2 ** (encoder.widths.length - 1);
  return {
    architecture,
    model: { headDim, downsample, upsample, decoderActivation },
    scale: fields.scaling_factor ?? publishedScale(architecture, factor),
    factor,
  };
}

/** Latent scales of the published models, for weights that come without a config. */
function publishedScale({ downsample }: DcAeArchitecture, factor: number): number | undefined {
  if (downsample === 'conv') return 0.41407;
  return { 32: 0.3189, 64: 0.2889 }[factor];
}

const size = z.number().int().positive();
const depths = z.array(z.number().int().nonnegative());
const blockType = z.enum(['ResBlock', 'EfficientViTBlock']);
const normType = z.enum(['batch_norm', 'rms_norm']);
const activation = z.enum(['relu', 'silu']);
const FIELDS = z.object({
  latent_channels: size.optional(),
  attention_head_dim: size.optional(),
  encoder_block_out_channels: z.array(size).optional(),
  decoder_block_out_channels: z.array(size).optional(),
  encoder_layers_per_block: depths.optional(),
  decoder_layers_per_block: depths.optional(),
  encoder_block_types: z.union([blockType, z.array(blockType)]).optional(),
  decoder_block_types: z.union([blockType, z.array(blockType)]).optional(),
  encoder_qkv_multiscales: z.array(z.array(size)).optional(),
  decoder_qkv_multiscales: z.array(z.array(size)).optional(),
  decoder_norm_types: z.union([normType, z.array(normType)]).optional(),
  decoder_act_fns: z.union([activation, z.array(activation)]).optional(),
  downsample_block_type: z.enum(['pixel_unshuffle', 'conv']).optional(),
  upsample_block_type: z.enum(['pixel_shuffle', 'interpolate']).optional(),
  scaling_factor: z.number().nullish(),
  // Switches that are run in their published position only.
  shift_factor: only(0),
  encoder_out_shortcut: only(true),
  decoder_in_shortcut: only(true),
  decoder_conv_act_fn: only('relu'),
});
type Fields = z.output<typeof FIELDS>;

/** The config of one half takes precedence over what the weights show, so that a wrong config is noticed. */
function sideOf(fields: Fields, half: 'encoder' | 'decoder', found: Side): Side {
  const widths = fields[`${half}_block_out_channels`] ?? found.widths;
  const each = <T>(value: T | T[] | undefined): T[] | undefined =>
    value === undefined ? undefined : Array.isArray(value) ? value : widths.map(() => value);
  const kinds = each(fields[`${half}_block_types`]);
  const norms = half === 'decoder' ? each(fields.decoder_norm_types) : undefined;
  return {
    widths,
    depths: fields[`${half}_layers_per_block`] ?? found.depths,
    blocks: kinds?.map(kind => (kind === 'ResBlock' ? 'residual' : 'vit')) ?? found.blocks,
    norms: norms?.map(norm => (norm === 'batch_norm' ? 'batch' : 'rms')) ?? found.norms,
    scales: fields[`${half}_qkv_multiscales`] ?? found.scales,
  };
}

/** Depths, widths and kinds of blocks as the keys and shapes of the weights show them. */
function architectureOf(name: string, weights: Weights): DcAeArchitecture {
  const shape = (key: string): number[] => {
    if (!Object.hasOwn(weights, key)) throw new UserError(`${name}: tensor '${key}' is missing; is the file complete?`);
    return weights[key].shape;
  };
  const encoder = observed(weights, 'encoder.down_blocks');
  const decoder = observed(weights, 'decoder.up_blocks');
  const down = encoder.resampled.find(kernel => kernel !== undefined);
  const up = decoder.resampled.find(kernel => kernel !== undefined);
  return {
    latentChannels: shape('encoder.conv_out.weight')[0],
    headDim: headDimOf(weights),
    encoder: encoder.side,
    decoder: decoder.side,
    // A convolution that gives the next stage's whole width does the resampling; one that gives a quarter of it is
    // shuffled. Going up, the stage's own width or four times as many.
    downsample: down && down.shape[0] === widthOfStage(encoder, down, 1) ? 'conv' : 'pixel_unshuffle',
    upsample: up && up.shape[0] === widthOfStage(decoder, up, 0) ? 'interpolate' : 'pixel_shuffle',
  };
}

interface Observed {
  side: Side;
  /** The resampling convolution of each stage. */
  resampled: (Shaped | undefined)[];
}

function observed(weights: Weights, prefix: string): Observed {
  const stages = children(weights, prefix).map(stage => children(stage));
  const blocks = stages.map(stage => stage.filter(block => !('conv.weight' in block)));
  const first = blocks.map(stage => stage.at(0));
  const widths = first.map(block => (block ? widthOf(block) : 0));
  return {
    side: {
      // A stage without blocks has no width of its own; its neighbour's stands in.
      widths: widths.map((width, s) => width || widths[s + 1]),
      depths: blocks.map(({ length }) => length),
      blocks: first.map(block => (block && 'attn.to_q.weight' in block ? 'vit' : 'residual')),
      norms: first.map(block => (block && 'norm.running_mean' in block ? 'batch' : 'rms')),
      scales: first.map(block => (block ? scalesOf(block) : [])),
    },
    resampled: stages.map(stage => stage.find(block => 'conv.weight' in block)?.['conv.weight']),
  };
}

const widthOf = (block: Weights): number => (block['conv1.weight'] ?? block['attn.to_q.weight']).shape[0];

const scalesOf = (block: Weights): number[] =>
  children(block, 'attn.to_qkv_multiscale').map(scale => scale['proj_in.weight'].shape[2]);

/** Published models have heads of 32; where there is a further scale, its small matrices tell. */
function headDimOf(weights: Weights): number {
  const matrix = Object.keys(weights).find(key => key.endsWith('to_qkv_multiscale.0.proj_out.weight'));
  return matrix === undefined ? 32 : weights[matrix].shape[1];
}

/** Width of the stage that a resampling convolution stands in, or of one `further` in. */
const widthOfStage = ({ side, resampled }: Observed, kernel: Shaped, further: number): number =>
  side.widths[resampled.indexOf(kernel) + further];

import { UserError } from '../../base/index.js';
import { tf } from '../../engine/index.js';
import { asFloat64, type NdArray } from '../../io/index.js';
import { loadParams, under, type Params } from '../../nn/index.js';
import { readVision, type Vision } from '../../vision/index.js';
import type { OpenOptions } from '../tokenizer.js';
import { averagedLayers, encoderFields, raeFields, type RaeConfig, type RaeFields } from './config.js';
import { decoderArrays, decoderShapes, type DecoderSizes } from './keys.js';
import { STATISTICS } from './statistics.js';

/** Weights of an RAE, and what is known about them. */
export interface RaeSource {
  name: string;
  /** Encoder and decoder under `encoder.` and `decoder.`, and diffusers' buffers. */
  weights: Record<string, NdArray>;
  /** diffusers' config, or what the authors' YAML or the decoder's config.json say. */
  config: Record<string, unknown>;
  /** The encoder's own config where it is a model of its own; absent: the config above is diffusers' and tells of it. */
  encoderConfig?: Record<string, unknown> | undefined;
  /** Layers that are averaged, where the name of the model says so. */
  layers?: number[] | undefined;
}

/** An RAE's networks. */
export interface LoadedRae {
  config: RaeConfig;
  fields: RaeFields;
  vision: Vision;
  /** The decoder's parameters under diffusers' names. */
  decoder: Params;
}

/**
 * Reads an RAE in any spelling of its halves.
 * @throws UserError for a config that is wrong or not known, and for tensors that are missing, misshapen or unread.
 */
export async function loadRae(source: RaeSource, options: OpenOptions): Promise<LoadedRae> {
  const { name, weights } = source;
  const fields = raeFields(name, source.config);
  const { arrays, spelling } = decoderArrays(weights);
  const found = sizesOf(arrays);
  const vision = await readVision(
    { name, weights: under(weights, 'encoder'), config: source.encoderConfig ?? encoderFields(fields, found.channels) },
    { bareNorm: true },
  );
  try {
    loadParams(name, strays(weights), {}, options);
    const config = raeConfig(source, fields, vision, arrays);
    const shapes = decoderShapes({ ...found, ...toldSizes(fields, vision) });
    const table = shapeOf(arrays, TABLE);
    const decoder = loadParams(`${name} (decoder)`, arrays, { ...shapes, ...(table && { [TABLE]: table }) }, options);
    options.log?.note(`${name}: encoder spelled as ${vision.spelling}, decoder as ${spelling}`);
    return { config, fields, vision, decoder };
  } catch (error) {
    tf.dispose(vision.params);
    throw error;
  }
}

type Arrays = Record<string, NdArray>;

const shapeOf = (arrays: Arrays, key: string): number[] | undefined =>
  Object.hasOwn(arrays, key) ? arrays[key].shape : undefined;

/** The authors keep the decoder's fixed positions with its weights. */
const TABLE = 'decoder_pos_embed';

/** Tensors that are no part of an RAE. */
const strays = (weights: Arrays): Arrays =>
  Object.fromEntries(
    Object.entries(weights).filter(
      ([key]) => !/^(encoder|decoder)\./.test(key) && ![...PIXELS, ...Object.values(STATISTICS)].includes(key),
    ),
  );

const PIXELS: string[] = ['encoder_mean', 'encoder_std'];

/** A decoder's sizes as its weights show them. */
function sizesOf(arrays: Arrays): DecoderSizes {
  const [width, channels] = arrays['decoder_embed.weight'].shape;
  let depth = 0;
  while (`decoder_layers.${depth}.layernorm_before.weight` in arrays) depth++;
  const hidden = shapeOf(arrays, 'decoder_layers.0.intermediate.dense.weight')?.[0] ?? 0;
  return { channels, width, depth, hidden, patchSize: Math.sqrt(arrays['decoder_pred.weight'].shape[0] / 3) };
}

/** The config's sizes take precedence, so that a wrong config is noticed. */
function toldSizes(fields: RaeFields, { config }: Vision): Partial<DecoderSizes> {
  const told = {
    width: fields.decoder_hidden_size,
    depth: fields.decoder_num_hidden_layers,
    hidden: fields.decoder_intermediate_size,
    patchSize: ownPatchSize(fields),
    channels: config.width,
  };
  return Object.fromEntries(Object.entries(told).filter(([, value]) => (value ?? undefined) !== undefined));
}

/** `patch_size` is the decoder's in diffusers' config; in a ViT-MAE's config.json it is replaced by the authors' code. */
const ownPatchSize = (fields: RaeFields): number | undefined =>
  fields.decoder_patch_size ?? (isDiffusers(fields) ? (fields.patch_size ?? undefined) : undefined);

const isDiffusers = ({ encoder_type: type }: RaeFields): boolean => (type ?? undefined) !== undefined;

function raeConfig(source: RaeSource, fields: RaeFields, { config: vision }: Vision, arrays: Arrays): RaeConfig {
  const { name, weights } = source;
  const [width] = arrays['decoder_embed.weight'].shape;
  const layers = fields.encoder_name ? averagedLayers(name, fields.encoder_name) : source.layers;
  const told = fields.encoder_input_size ?? fields.resolution ?? undefined;
  const side = told === undefined ? sideOf(arrays, weights) : told / vision.patchSize;
  const patchSize = ownPatchSize(fields) ?? Math.sqrt(arrays['decoder_pred.weight'].shape[0] / 3);
  refuseLayers(name, layers, vision);
  refuseSides(name, fields, side, patchSize, arrays);
  return {
    inputSize: side * vision.patchSize,
    mean: numbers(weights, 'encoder_mean') ?? fields.encoder_norm_mean ?? [...vision.input.mean],
    std: numbers(weights, 'encoder_std') ?? fields.encoder_norm_std ?? [...vision.input.std],
    layers,
    side,
    decoder: { heads: headsOf(name, fields, width), patchSize, eps: fields.layer_norm_eps ?? 1e-12 },
    standardised: layers === undefined,
  };
}

const numbers = (arrays: Arrays, key: string): number[] | undefined =>
  Object.hasOwn(arrays, key) ? Array.from(asFloat64(arrays[key].data)) : undefined;

/** Tokens along a side by the decoder's table of positions, else by the statistics; the published ones have 16. */
function sideOf(arrays: Arrays, weights: Arrays): number {
  const [table, statistics] = [shapeOf(arrays, TABLE), shapeOf(weights, STATISTICS.mean)];
  if (table) return Math.sqrt(table[1] - 1);
  return statistics?.length === 3 ? statistics[2] : 16;
}

function refuseSides(name: string, fields: RaeFields, side: number, patchSize: number, arrays: Arrays): void {
  const rows = shapeOf(arrays, TABLE)?.[1];
  if (!Number.isInteger(side))
    throw new UserError(
      `${name}: config field encoder_input_size: ${fields.encoder_input_size ?? fields.resolution} is no multiple of the encoder's patch size`,
    );
  if (rows !== undefined && rows !== 1 + side ** 2)
    throw new UserError(
      `${name}: the decoder has positions for ${rows - 1} tokens, the encoder gives ${side ** 2}; give the encoder that belongs to it, or its config`,
    );
  const image = side * patchSize;
  if (isDiffusers(fields) && (fields.image_size ?? image) !== image)
    throw new UserError(
      `${name}: config field image_size: ${fields.image_size} is not what ${side} × ${side} patches of ${patchSize} pixels make, ${image}`,
    );
}

function refuseLayers(name: string, layers: number[] | undefined, { family, depth }: Vision['config']): void {
  if (layers === undefined && family === 'dinov3')
    throw new UserError(
      `${name}: RAEv2 averages layers of DINOv3, and the weights do not tell which; name them: raev2-dinov3l-k7:ENCODER,DECODER or raev2-dinov3l-k23:ENCODER,DECODER, or the authors' YAML by --tokenizer-config`,
    );
  const beyond = layers?.find(layer => layer >= depth);
  if (beyond !== undefined)
    throw new UserError(`${name}: layer ${beyond} is to be averaged, but the encoder has ${depth}, counted from 0`);
}

/** Heads of the published decoders by their width: ViT-B, ViT-L, ViT-XL. */
const HEADS: Partial<Record<number, number>> = { 768: 12, 1024: 16, 1152: 16 };

function headsOf(name: string, fields: RaeFields, width: number): number {
  const heads = fields.decoder_num_attention_heads ?? HEADS[width];
  if (heads === undefined)
    throw new UserError(
      `${name}: no published decoder is ${width} wide, so how many heads it has is not known; give a config with decoder_num_attention_heads`,
    );
  if (width % heads === 0) return heads;
  throw new UserError(
    `${name}: config field decoder_num_attention_heads: ${heads} heads do not make up a width of ${width}`,
  );
}

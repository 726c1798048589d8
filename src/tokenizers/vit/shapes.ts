import { linearShapes as linear, normShapes as norm, prefixed, repeatedShapes, type Shapes } from '../../nn/index.js';
import { CODEWORDS } from './codebook.js';
import {
  decoders,
  encodedChannels,
  gridSide,
  tokenCount,
  type DecoderSpec,
  type Stack,
  type VitConfig,
} from './config.js';

/** Keys of the last layers' weights, by whose gradients losses are balanced against the reconstruction's. */
export const LAST_LAYER = { encoder: 'quant_conv.weight', decoder: 'decoder.to_pixel.model.weight' } as const;

/** Every parameter that the forward passes use, with its shape, under its published key. */
export function vitShapes(config: VitConfig): Shapes {
  const { encoder, latentChannels, codebook } = config;
  return {
    ...within('encoder', encoderShapes(config)),
    ...within('quant_conv', linear(encoder.width, encodedChannels(config))),
    ...(codebook ? { [CODEWORDS]: [codebook.parts, codebook.codewords, latentChannels] } : {}),
    ...merged(
      decoders(config).map(spec => ({
        ...within(spec.prefix, decoderShapes(config, spec)),
        ...within(spec.lift, linear(latentChannels, spec.width)),
        ...within(spec.readout, linear(spec.width, spec.outputs)),
      })),
    ),
  };
}

/** Choices of codewords that the authors' class keeps to count how many are in use. */
const REMEMBERED_CODES = 65536;

/**
 * Further contents of published files: tensors that influence nothing (a decoder's patch embedding, its absolute
 * positions under rotary ones, the modulation of latent tokens that are thrown away, classifiers) and, as buffers, the
 * grid of the rotary positions and the codewords chosen last.
 */
export function unusedShapes(config: VitConfig): Shapes {
  const grid = gridSide(config) ** 2;
  const rotates = config.positions === 'rope-mixed';
  const buffers: Shapes = rotates ? { freqs_t_x: [grid], freqs_t_y: [grid] } : {};
  return {
    ...within('encoder', buffers),
    ...(config.codebook ? { 'quantize.codebook_used': [config.codebook.parts, REMEMBERED_CODES] } : {}),
    ...merged(
      decoders(config).map(spec => ({
        ...within(spec.prefix, buffers),
        ...within(`${spec.prefix}.model.patch_embed.proj`, patchEmbedding(config, spec.width)),
        ...(config.positions === 'absolute' ? {} : { [`${spec.prefix}.model.pos_embed`]: [1, 1 + grid, spec.width] }),
        ...(spec.kind === 'movq'
          ? within(`${spec.prefix}.model.norm.adaLN_modulation.1`, linear(config.latentChannels, 2 * spec.width))
          : {}),
        ...(spec.unusedHead ? within(`${spec.prefix}.model.head`, linear(spec.width, 1000)) : {}),
      })),
    ),
  };
}

/** Tables that are stored but are not parameters. */
export const isBuffer = (key: string): boolean => /\.freqs_t_[xy]$|^quantize\.codebook_used$/.test(key);

/** Keys of published files that opening a model passes over: the above, and networks that only training used. */
export const isIgnored = (key: string): boolean =>
  isBuffer(key) ||
  /^decoder(_\w+)?\.model\.(patch_embed\.|pos_embed$|norm\.adaLN_modulation\.|head\.)/.test(key) ||
  /^(repa_model|clip_model|projection|hog_generator)\./.test(key);

function encoderShapes(config: VitConfig): Shapes {
  const { latentTokens, encoder, maskToken } = config;
  const { width } = encoder;
  const latents = { latent_tokens: [1, latentTokens, width], latent_pos_embed: [1, latentTokens, width] };
  return {
    ...(latentTokens > 0 ? latents : {}),
    ...(maskToken ? { mask_token: [1, 1, width] } : {}),
    ...frequencies(config, encoder),
    ...within('model', backboneShapes(encoder, config)),
  };
}

/** timm's DINOv2 without registers, its table of positions made for one size. */
export function backboneShapes({ width, depth }: Stack, config: Pick<VitConfig, 'imageSize' | 'patchSize'>): Shapes {
  return {
    cls_token: [1, 1, width],
    pos_embed: [1, 1 + gridSide(config) ** 2, width],
    ...within('patch_embed.proj', patchEmbedding(config, width)),
    ...repeatedShapes('blocks', depth, plainBlock(width)),
    ...within('norm', norm(width)),
  };
}

function decoderShapes(config: VitConfig, { width, depth, heads, kind, classToken }: DecoderSpec): Shapes {
  const { latentTokens, latentChannels, positions } = config;
  return {
    // Image tokens as latents stand in the patches' own places: no mask tokens, no positions besides the patches'.
    ...(latentTokens > 0 ? { mask_token: [1, 1, width], latent_pos_embed: [1, tokenCount(config), width] } : {}),
    ...frequencies(config, { width, depth, heads }),
    ...(classToken ? { 'model.cls_token': [1, 1, width] } : {}),
    ...(positions === 'absolute' ? { 'model.pos_embed': [1, 1 + gridSide(config) ** 2, width] } : {}),
    ...repeatedShapes(
      'model.blocks',
      depth,
      kind === 'movq' ? modulatedBlock(width, latentChannels) : plainBlock(width),
    ),
    ...(kind === 'movq'
      ? latentTokens > 0
        ? {}
        : within('model.norm.adaLN_modulation.1', linear(latentChannels, 2 * width))
      : within('model.norm', norm(width))),
  };
}

const frequencies = ({ positions }: VitConfig, { width, depth }: Stack): Shapes =>
  positions === 'rope-mixed' ? { freqs: [2, depth, width / 2] } : {};

const patchEmbedding = ({ patchSize }: Pick<VitConfig, 'patchSize'>, width: number): Shapes => ({
  weight: [width, 3, patchSize, patchSize],
  bias: [width],
});

const attentionAndMlp = (width: number): Shapes => ({
  ...within('attn.qkv', linear(width, 3 * width)),
  ...within('attn.proj', linear(width, width)),
  ...within('mlp.fc1', linear(width, 4 * width)),
  ...within('mlp.fc2', linear(4 * width, width)),
});

const plainBlock = (width: number): Shapes => ({
  ...within('norm1', norm(width)),
  ...within('norm2', norm(width)),
  ...attentionAndMlp(width),
  'ls1.gamma': [width],
  'ls2.gamma': [width],
});

const modulatedBlock = (width: number, channels: number): Shapes => ({
  ...attentionAndMlp(width),
  ...within('adaLN_modulation.1', linear(channels, 4 * width)),
});

const within = (prefix: string, shapes: Shapes): Shapes => prefixed(shapes, prefix);

const merged = (parts: Shapes[]): Shapes => Object.assign({}, ...parts) as Shapes;

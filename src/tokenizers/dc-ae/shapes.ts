import type { Shapes } from '../../nn/index.js';

/** Architecture of a DC-AE in diffusers' terms; every list has one entry per stage, pixels first. */
export interface DcAeArchitecture {
  latentChannels: number;
  headDim: number;
  encoder: Side;
  decoder: Side;
  downsample: 'pixel_unshuffle' | 'conv';
  upsample: 'pixel_shuffle' | 'interpolate';
}

/** One half of the network. */
export interface Side {
  widths: number[];
  /** Blocks per stage; 0 in the first stage lets the outermost convolution resample. */
  depths: number[];
  /** Residual blocks or EfficientViT blocks. */
  blocks: ('residual' | 'vit')[];
  /** Norm of the residual blocks. */
  norms: ('rms' | 'batch')[];
  /** Kernel sizes of the attention's further scales. */
  scales: number[][];
}

/** Every parameter's key and shape, in PyTorch's layout. */
export function dcAeShapes(architecture: DcAeArchitecture): Shapes {
  return {
    ...within('encoder', encoderShapes(architecture)),
    ...within('decoder', decoderShapes(architecture)),
  };
}

function encoderShapes({ encoder, latentChannels, downsample, headDim }: DcAeArchitecture): Shapes {
  const { widths, depths } = encoder;
  const first = depths[0] > 0 ? 0 : 1;
  const folded = downsample === 'pixel_unshuffle' ? 4 : 1;
  const down = (out: number, inputs: number): Shapes => within('conv', conv(inputs, out / folded, 3));
  return {
    ...within('conv_in', first === 0 ? conv(3, widths[0], 3) : down(widths[1], 3)),
    ...merged(
      widths.map((width, s) => {
        const blocks = repeated(depths[s], i => within(`down_blocks.${s}.${i}`, blockShapes(encoder, s, headDim)));
        const isLast = s === widths.length - 1 || depths[s] === 0;
        return isLast ? blocks : { ...blocks, ...within(`down_blocks.${s}.${depths[s]}`, down(widths[s + 1], width)) };
      }),
    ),
    ...within('conv_out', conv(widths[widths.length - 1], latentChannels, 3)),
  };
}

function decoderShapes({ decoder, latentChannels, upsample, headDim }: DcAeArchitecture): Shapes {
  const { widths, depths } = decoder;
  const folded = upsample === 'pixel_shuffle' ? 4 : 1;
  const up = (out: number, inputs: number): Shapes => within('conv', conv(inputs, out * folded, 3));
  const outermost = depths[0] > 0 ? 0 : 1;
  return {
    ...within('conv_in', conv(latentChannels, widths[widths.length - 1], 3)),
    ...merged(
      widths.map((width, s) => {
        const first = s === widths.length - 1 || depths[s] === 0 ? 0 : 1;
        const blocks = repeated(depths[s], i =>
          within(`up_blocks.${s}.${i + first}`, blockShapes(decoder, s, headDim)),
        );
        return first === 0 ? blocks : { ...within(`up_blocks.${s}.0`, up(width, widths[s + 1])), ...blocks };
      }),
    ),
    ...within('norm_out', norm(widths[outermost])),
    ...within('conv_out', outermost === 0 ? conv(widths[0], 3, 3) : up(3, widths[1])),
  };
}

function blockShapes({ widths, blocks, norms, scales }: Side, stage: number, headDim: number): Shapes {
  const width = widths[stage];
  return blocks[stage] === 'residual' ? residual(width, norms[stage]) : vit(width, scales[stage], headDim);
}

const residual = (width: number, kind: 'rms' | 'batch'): Shapes => ({
  ...within('conv1', conv(width, width, 3)),
  ...within('conv2', conv(width, width, 3, false)),
  ...within('norm', kind === 'batch' ? { ...norm(width), running_mean: [width], running_var: [width] } : norm(width)),
});

function vit(width: number, scales: number[], headDim: number): Shapes {
  const heads = (3 * width) / headDim;
  const expanded = 8 * width;
  return {
    ...merged(['to_q', 'to_k', 'to_v'].map(part => ({ [`attn.${part}.weight`]: [width, width] }))),
    ...merged(
      scales.map((kernel, i) => ({
        [`attn.to_qkv_multiscale.${i}.proj_in.weight`]: [3 * width, 1, kernel, kernel],
        [`attn.to_qkv_multiscale.${i}.proj_out.weight`]: [heads * headDim, headDim, 1, 1],
      })),
    ),
    'attn.to_out.weight': [width, width * (1 + scales.length)],
    ...within('attn.norm_out', norm(width)),
    ...within('conv_out.conv_inverted', conv(width, expanded, 1)),
    ...within('conv_out.conv_depth', { weight: [expanded, 1, 3, 3], bias: [expanded] }),
    ...within('conv_out.conv_point', conv(expanded / 2, width, 1, false)),
    ...within('conv_out.norm', norm(width)),
  };
}

const norm = (width: number): Shapes => ({ weight: [width], bias: [width] });
const conv = (inputs: number, out: number, kernel: number, bias = true): Shapes => ({
  weight: [out, inputs, kernel, kernel],
  ...(bias ? { bias: [out] } : {}),
});

const merged = (parts: Shapes[]): Shapes => Object.fromEntries(parts.flatMap(part => Object.entries(part)));
const repeated = (times: number, make: (i: number) => Shapes): Shapes =>
  merged(Array.from({ length: times }, (_, i) => make(i)));
const within = (prefix: string, shapes: Shapes): Shapes =>
  Object.fromEntries(Object.entries(shapes).map(([key, shape]) => [`${prefix}.${key}`, shape]));

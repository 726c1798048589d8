import type { Shapes } from '../../nn/index.js';

/** Architecture of a latent-diffusion autoencoder in its authors' terms. */
export interface LdmArchitecture {
  /** Width of the first level. */
  ch: number;
  /** Width of each level as a multiple of `ch`, pixels first. */
  chMult: number[];
  /** The decoder's own multiples, pixels first as well, where they differ. */
  decoderChMult?: number[];
  /** Residual blocks per encoder level; a decoder level has one more. */
  numResBlocks: number;
  /** Nominal resolutions at which every block is followed by attention. */
  attnResolutions: number[];
  /** Nominal image size that `attnResolutions` refers to, whatever the actual input. */
  resolution: number;
  /** Channels of the decoder's input. */
  zChannels: number;
  /** Channels of the encoder's output where it is not a mean and a log-variance of `zChannels`. */
  encoderChannels?: number;
  /** Channels of the latents. */
  embedDim: number;
  /** Numbers that the encoder gives per latent channel: 2 for a posterior, 1 for a plain autoencoder. */
  moments: 1 | 2;
  /** The 1×1 convolutions around the latents, which newer VAEs of this class lack. */
  quantConv: boolean;
  postQuantConv: boolean;
  /** The middle's attention, without which some are built; default true. */
  middleAttends?: boolean;
  /** [rows, columns] of neighbouring latents that are packed and normalised as one token, where they are (FLUX.2). */
  patch?: [rows: number, columns: number] | undefined;
}

/** Every parameter's key and shape, in PyTorch's layout. */
export function ldmShapes(config: LdmArchitecture): Shapes {
  return {
    ...within('encoder', encoderShapes(config)),
    ...within('decoder', decoderShapes(config)),
    ...(config.quantConv
      ? within('quant_conv', conv(encoderChannels(config), config.moments * config.embedDim, 1))
      : {}),
    ...(config.postQuantConv ? within('post_quant_conv', conv(config.embedDim, config.zChannels, 1)) : {}),
    ...(config.patch ? batchNorm(config.embedDim * config.patch[0] * config.patch[1]) : {}),
  };
}

/** Statistics of the packed latents; no weights. */
const batchNorm = (channels: number): Shapes => ({
  'bn.running_mean': [channels],
  'bn.running_var': [channels],
  'bn.num_batches_tracked': [],
});

/** Whether a tensor is one of statistics, which are no parameters. */
export const isStatistic = (key: string): boolean => key.startsWith('bn.');

function encoderShapes(config: LdmArchitecture): Shapes {
  const { ch, chMult, numResBlocks } = config;
  const shapes: Shapes = within('conv_in', conv(3, ch, 3));
  let width = ch;
  chMult.forEach((multiple, level) => {
    const at = `down.${level}`;
    Object.assign(shapes, levelShapes(at, width, ch * multiple, numResBlocks, hasAttention(config, level)));
    width = ch * multiple;
    if (level < chMult.length - 1) Object.assign(shapes, within(`${at}.downsample.conv`, conv(width, width, 3)));
  });
  return { ...shapes, ...middle(width, config), ...last(width, encoderChannels(config)) };
}

/** Of the decoder alone, without its prefix. */
export function decoderShapes(config: LdmArchitecture): Shapes {
  const { ch, numResBlocks, zChannels } = config;
  const chMult = config.decoderChMult ?? config.chMult;
  let width = ch * chMult[chMult.length - 1];
  const shapes: Shapes = within('conv_in', conv(zChannels, width, 3));
  const middleWidth = width;
  for (let level = chMult.length - 1; level >= 0; level--) {
    const at = `up.${level}`;
    const out = ch * chMult[level];
    Object.assign(shapes, levelShapes(at, width, out, numResBlocks + 1, hasAttention(config, level)));
    width = out;
    if (level > 0) Object.assign(shapes, within(`${at}.upsample.conv`, conv(width, width, 3)));
  }
  return { ...shapes, ...middle(middleWidth, config), ...last(width, 3) };
}

const encoderChannels = ({ encoderChannels, moments, zChannels }: LdmArchitecture): number =>
  encoderChannels ?? moments * zChannels;

const hasAttention = ({ resolution, attnResolutions }: LdmArchitecture, level: number): boolean =>
  attnResolutions.includes(resolution / 2 ** level);

function levelShapes(at: string, inputs: number, out: number, blocks: number, attends: boolean): Shapes {
  const shapes: Shapes = {};
  for (let b = 0; b < blocks; b++) {
    Object.assign(shapes, within(`${at}.block.${b}`, residual(b === 0 ? inputs : out, out)));
    if (attends) Object.assign(shapes, within(`${at}.attn.${b}`, attention(out)));
  }
  return shapes;
}

const last = (width: number, out: number): Shapes => ({
  ...within('norm_out', norm(width)),
  ...within('conv_out', conv(width, out, 3)),
});

const middle = (width: number, { middleAttends = true }: LdmArchitecture): Shapes => ({
  ...within('mid.block_1', residual(width, width)),
  ...(middleAttends ? within('mid.attn_1', attention(width)) : {}),
  ...within('mid.block_2', residual(width, width)),
});

const residual = (inputs: number, out: number): Shapes => ({
  ...within('norm1', norm(inputs)),
  ...within('conv1', conv(inputs, out, 3)),
  ...within('norm2', norm(out)),
  ...within('conv2', conv(out, out, 3)),
  ...(inputs === out ? {} : within('nin_shortcut', conv(inputs, out, 1))),
});

const attention = (width: number): Shapes => ({
  ...within('norm', norm(width)),
  ...Object.fromEntries(
    ['q', 'k', 'v', 'proj_out'].flatMap(part => Object.entries(within(part, conv(width, width, 1)))),
  ),
});

const norm = (width: number): Shapes => ({ weight: [width], bias: [width] });
const conv = (inputs: number, out: number, kernel: number): Shapes => ({
  weight: [out, inputs, kernel, kernel],
  bias: [out],
});

function within(prefix: string, shapes: Shapes): Shapes {
  return Object.fromEntries(Object.entries(shapes).map(([key, shape]) => [`${prefix}.${key}`, shape]));
}

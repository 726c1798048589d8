import { prefixed, type Shapes } from '../../nn/index.js';

/** Architecture of a Wan or Qwen-Image autoencoder in its authors' terms. */
export interface WanArchitecture {
  /** Width of the encoder's first level, and the decoder's own where it differs. */
  baseDim: number;
  decoderBaseDim: number;
  /** Channels of the latents. */
  zDim: number;
  /** Width of each level as a multiple of the base, pixels first. */
  dimMult: number[];
  /** Residual blocks per encoder level; a decoder level has one more. */
  numResBlocks: number;
  /** Scales (1, ½, ¼, …) at which the encoder's blocks are followed by attention. */
  attnScales: number[];
  /** Whether the encoder halves the frame rate after a level; one picture never gets there, but the weights hold it. */
  temporalDownsample: boolean[];
  /** Whether levels have shortcuts of averaged and repeated channels (Wan 2.2). */
  isResidual: boolean;
  /** Side of the patches of pixels that are the network's input channels (Wan 2.2: 2). */
  patchSize: number;
}

/** Every parameter's key (diffusers' names) and shape, in PyTorch's layout. */
export function wanShapes(config: WanArchitecture): Shapes {
  const { zDim } = config;
  return {
    ...prefixed(encoderShapes(config), 'encoder'),
    ...prefixed(conv(2 * zDim, 2 * zDim, 1), 'quant_conv'),
    ...prefixed(conv(zDim, zDim, 1), 'post_quant_conv'),
    ...prefixed(decoderShapes(config), 'decoder'),
  };
}

function encoderShapes(config: WanArchitecture): Shapes {
  const { baseDim, dimMult, numResBlocks, attnScales, temporalDownsample, isResidual, zDim } = config;
  const widths = dimMult.map(multiple => multiple * baseDim);
  const blocks = widths.flatMap((width, level) => {
    const inputs = level === 0 ? baseDim : widths[level - 1];
    const between = attnScales.includes(2 ** -level) && !isResidual ? [attention(width)] : [];
    const residuals = residualBlocks(numResBlocks, inputs, width).flatMap(block => [block, ...between]);
    const down = level < widths.length - 1 ? [resampling(width, width, temporalDownsample[level] ? width : 0)] : [];
    if (!isResidual) return [...residuals, ...down];
    return [{ ...numbered(residuals, 'resnets'), ...prefixed(down[0] ?? {}, 'downsampler') }];
  });
  const last = widths[widths.length - 1];
  return {
    ...prefixed(conv(pixelChannels(config), baseDim, 3), 'conv_in'),
    ...numbered(blocks, 'down_blocks'),
    ...ends(last, last, 2 * zDim),
  };
}

function decoderShapes(config: WanArchitecture): Shapes {
  const { decoderBaseDim, dimMult, numResBlocks, temporalDownsample, isResidual, zDim } = config;
  const widths = dimMult.map(multiple => multiple * decoderBaseDim).reverse();
  const temporal = [...temporalDownsample].reverse();
  const blocks = widths.map((width, level) => {
    const before = widths[Math.max(0, level - 1)];
    const inputs = level === 0 || isResidual ? before : Math.floor(before / 2);
    const up = resampling(width, isResidual ? width : Math.floor(width / 2), temporal[level] ? 2 * width : 0);
    return {
      ...numbered(residualBlocks(numResBlocks + 1, inputs, width), 'resnets'),
      ...(level < widths.length - 1 ? prefixed(up, isResidual ? 'upsampler' : 'upsamplers.0') : {}),
    };
  });
  return {
    ...prefixed(conv(zDim, widths[0], 3), 'conv_in'),
    ...numbered(blocks, 'up_blocks'),
    ...ends(widths[0], widths[widths.length - 1], pixelChannels(config)),
  };
}

const pixelChannels = ({ patchSize }: WanArchitecture): number => 3 * patchSize ** 2;

/** What encoder and decoder have in common: the blocks around the latents, and the output. */
const ends = (middleWidth: number, width: number, out: number): Shapes => ({
  ...prefixed(residual(middleWidth, middleWidth), 'mid_block.resnets.0'),
  ...prefixed(attention(middleWidth), 'mid_block.attentions.0'),
  ...prefixed(residual(middleWidth, middleWidth), 'mid_block.resnets.1'),
  'norm_out.gamma': [width, 1, 1, 1],
  ...prefixed(conv(width, out, 3), 'conv_out'),
});

const residualBlocks = (count: number, inputs: number, out: number): Shapes[] =>
  Array.from({ length: count }, (_, b) => residual(b === 0 ? inputs : out, out));

const residual = (inputs: number, out: number): Shapes => ({
  'norm1.gamma': [inputs, 1, 1, 1],
  ...prefixed(conv(inputs, out, 3), 'conv1'),
  'norm2.gamma': [out, 1, 1, 1],
  ...prefixed(conv(out, out, 3), 'conv2'),
  ...(inputs === out ? {} : prefixed(conv(inputs, out, 1), 'conv_shortcut')),
});

const attention = (width: number): Shapes => ({
  'norm.gamma': [width, 1, 1],
  ...prefixed(imageConv(width, 3 * width, 1), 'to_qkv'),
  ...prefixed(imageConv(width, width, 1), 'proj'),
});

/** A resampling convolution, and the one along time with so many outputs where there is one. */
const resampling = (width: number, out: number, timeOutputs: number): Shapes => ({
  ...prefixed(imageConv(width, out, 3), 'resample.1'),
  ...(timeOutputs > 0 ? { 'time_conv.weight': [timeOutputs, width, 3, 1, 1], 'time_conv.bias': [timeOutputs] } : {}),
});

const conv = (inputs: number, out: number, kernel: number): Shapes => ({
  weight: [out, inputs, kernel, kernel, kernel],
  bias: [out],
});

const imageConv = (inputs: number, out: number, kernel: number): Shapes => ({
  weight: [out, inputs, kernel, kernel],
  bias: [out],
});

const numbered = (blocks: Shapes[], prefix: string): Shapes =>
  Object.assign({}, ...blocks.map((block, i) => prefixed(block, `${prefix}.${i}`))) as Shapes;

import { UserError } from '../../../base/index.js';
import { DECODER_PRESETS, type DecoderPreset, type RaeConfig } from '../../../tokenizers/rae/index.js';
import type { VisionConfig } from '../../../vision/index.js';
import type { RaeDecoderOptions } from './options.js';

/** The decoder's sizes: the preset's, and what was asked for in place of them. */
export function decoderSizes({ preset, imageSize, patchSize, width, depth, heads }: RaeDecoderOptions): DecoderPreset {
  const asked = { imageSize, patchSize, width, depth, heads, hidden: width && 4 * width };
  const given = Object.entries(asked).filter(([, value]) => value !== undefined);
  return { ...DECODER_PRESETS[preset], ...(Object.fromEntries(given) as Partial<DecoderPreset>) };
}

/** The RAE that an encoder and a decoder of these sizes make. @throws UserError for sizes that do not fit. */
export function raeConfig({ layers }: RaeDecoderOptions, sizes: DecoderPreset, vision: VisionConfig): RaeConfig {
  const { imageSize, patchSize, width, heads } = sizes;
  if (imageSize % patchSize !== 0)
    throw new UserError(`--image-size ${imageSize}: is not a multiple of the decoder's patch size ${patchSize}`);
  if (width % heads !== 0 || width % 4 !== 0)
    throw new UserError(`--width ${width}: must be a multiple of 4 and of the ${heads} heads`);
  const beyond = layers?.find(layer => layer >= vision.depth);
  if (beyond !== undefined)
    throw new UserError(`--layers ${beyond}: the encoder has ${vision.depth} blocks, counted from 0`);
  const side = imageSize / patchSize;
  return {
    inputSize: side * vision.patchSize,
    mean: [...vision.input.mean],
    std: [...vision.input.std],
    layers,
    side,
    decoder: { heads, patchSize, eps: 1e-12 },
    standardised: layers === undefined,
  };
}

import { prefixed, type ModelPreset, type Shapes } from '../../nn/index.js';
import { dinov2Shapes, dinov3Shapes, maeShapes, siglip2Shapes, type EncoderSizes } from './encoder-shapes.js';
import { asAuthors, decoderShapes, type DecoderSizes } from './keys.js';
import { STATISTICS } from './statistics.js';

/** RAEv2's layers of DINOv3-L whose tokens are averaged, by the name of the model. */
export const RAE_V2_LAYERS: Record<string, number[]> = {
  'raev2-dinov3l-k7': [11, 13, 15, 17, 19, 21, 23],
  'raev2-dinov3l-k23': Array.from({ length: 23 }, (_, i) => i + 1),
};

/** The published decoder, ViT-XL. */
const XL: Omit<DecoderSizes, 'channels'> = { width: 1152, depth: 28, hidden: 4096, patchSize: 16 };
const SIDE = 16;
const IMAGE = SIDE * XL.patchSize;

const SMALL: EncoderSizes = { width: 384, depth: 12, hidden: 1536, patchSize: 14 };
const BASE: EncoderSizes = { width: 768, depth: 12, hidden: 3072, patchSize: 14 };
const LARGE: EncoderSizes = { width: 1024, depth: 24, hidden: 4096, patchSize: 14 };

/** Rows of `maetok models`, under diffusers' names as published. */
export const raePresets: ModelPreset[] = [
  diffusers('rae-dinov2-small', 'DINOv2-S with registers', SMALL, dinov2Shapes),
  diffusers('rae-dinov2-base', 'DINOv2-B with registers', BASE, dinov2Shapes),
  diffusers('rae-dinov2-large', 'DINOv2-L with registers', LARGE, dinov2Shapes),
  diffusers('rae-siglip2-base', 'SigLIP2-B/16', { ...BASE, patchSize: 16 }, siglip2Shapes),
  diffusers('rae-mae-base', 'MAE-B/16', { ...BASE, patchSize: 16 }, maeShapes),
  ...Object.entries(RAE_V2_LAYERS).map(([name, averaged]) => second(name, averaged.length)),
];

function diffusers(
  name: string,
  about: string,
  encoder: EncoderSizes,
  shapes: (encoder: EncoderSizes) => Shapes,
): ModelPreset {
  const channels = encoder.width;
  return {
    name,
    kind: 'tokenizer',
    describe: `RAE: patch tokens of ${about}, decoded by a ViT-XL`,
    licence: 'MIT',
    imageSize: IMAGE,
    tokens: SIDE * SIDE,
    channels,
    shapes: () => ({
      ...prefixed(shapes(encoder), 'encoder'),
      ...prefixed(decoderShapes({ ...XL, channels }), 'decoder'),
      encoder_mean: [1, 3, 1, 1],
      encoder_std: [1, 3, 1, 1],
      [STATISTICS.mean]: [channels, SIDE, SIDE],
      [STATISTICS.std]: [channels, SIDE, SIDE],
    }),
    isBuffer: key => /^(encoder_(mean|std)|_latents_(mean|std))$/.test(key),
  };
}

/** EncoderSizes and decoder in two files, the decoder under the authors' names. */
function second(name: string, layerCount: number): ModelPreset {
  const channels = LARGE.width;
  return {
    name,
    kind: 'tokenizer',
    describe: `RAEv2: mean of ${layerCount} layers of DINOv3-L/16, decoded by a ViT-XL; not for commercial use`,
    licence: 'CC BY-NC 4.0; encoder: DINOv3 License',
    imageSize: IMAGE,
    tokens: SIDE * SIDE,
    channels,
    shapes: () => ({
      ...prefixed(dinov3Shapes({ ...LARGE, patchSize: 16 }), 'encoder'),
      ...prefixed(asAuthors(decoderShapes({ ...XL, channels })), 'decoder'),
      'decoder.decoder_pos_embed': [1, 1 + SIDE * SIDE, XL.width],
    }),
    isBuffer: key => key.endsWith('decoder_pos_embed'),
  };
}

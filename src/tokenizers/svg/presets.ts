import type { ModelPreset } from '../../nn/index.js';
import { decoderArchitecture } from '../ldm/index.js';
import { svgShapes, type SvgConfig } from './shapes.js';

/** DINOv3-S+'s features and eight channels more. */
const CHANNELS = 392;

const SVG: SvgConfig = {
  residual: { width: 384, depth: 6, hidden: 1536, patchSize: 16, positions: 257, outputs: 8 },
  decoder: decoderArchitecture({ ch: 128, chMult: [1, 1, 2, 2, 4] }, CHANNELS, { attends: [4] }),
};

export const svgPresets: ModelPreset[] = [
  {
    name: 'svg',
    kind: 'tokenizer',
    describe:
      'SVG, features of DINOv3-S+ and a residual encoder; without the DINOv3, which has a file and a licence of its own',
    licence: 'unknown',
    imageSize: 256,
    tokens: 256,
    channels: CHANNELS,
    shapes: () => svgShapes(SVG),
  },
];

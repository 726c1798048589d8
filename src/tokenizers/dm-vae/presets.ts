import { prefixed, type ModelPreset, type Shapes } from '../../nn/index.js';
import { decoderArchitecture } from '../ldm/index.js';
import { backboneShapes } from '../vit/index.js';
import { bufferShapes, dmVaeShapes, isBuffer } from './shapes.js';

const CHANNELS = 32;

function shapes(): Shapes {
  const decoder = decoderArchitecture({ ch: 128, chMult: [1, 2, 4, 4] }, CHANNELS);
  return {
    ...prefixed(
      backboneShapes({ width: 1024, depth: 24, heads: 16 }, { imageSize: 256, patchSize: 16 }),
      'encoder.model',
    ),
    ...bufferShapes(),
    ...dmVaeShapes({ features: 1024, hidden: 2048, channels: CHANNELS, decoder }),
  };
}

export const dmVaePresets: ModelPreset[] = [
  {
    name: 'dm-vae',
    kind: 'tokenizer',
    describe: 'DM-VAE, DINOv2-L with a bottleneck, its latents matched to a distribution',
    licence: 'unknown',
    imageSize: 256,
    tokens: 256,
    channels: CHANNELS,
    shapes,
    isBuffer,
  },
];

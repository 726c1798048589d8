import { prefixed, type ModelPreset } from '../../nn/index.js';
import { SEQUENCES, sequenceShapes } from './networks.js';

const [ENCODER_F8, DECODER_F8, ENCODER_F32] = SEQUENCES;

export const taesdPresets: ModelPreset[] = [
  {
    name: 'taef2',
    kind: 'tokenizer',
    describe: 'tiny autoencoder of FLUX.2’s latents; trained weights are published',
    licence: 'MIT',
    imageSize: 256,
    tokens: 1024,
    channels: 32,
    shapes: () => ({
      ...prefixed(sequenceShapes(ENCODER_F8, 32, true), 'encoder'),
      ...prefixed(sequenceShapes(DECODER_F8, 32, true), 'decoder'),
    }),
  },
  {
    name: 'taesana',
    kind: 'tokenizer',
    describe: 'tiny encoder of DC-AE’s latents; trained weights are published; no decoder',
    licence: 'MIT',
    imageSize: 256,
    tokens: 64,
    channels: 32,
    shapes: () => prefixed(sequenceShapes(ENCODER_F32, 32, false), 'encoder'),
  },
];

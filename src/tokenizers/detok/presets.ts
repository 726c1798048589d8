import type { ModelPreset } from '../../nn/index.js';
import type { DetokConfig, Stack } from './config.js';
import { detokShapes } from './shapes.js';

/** The authors' sizes; the hidden layer is two thirds of four times the width. */
const BASE: Stack = { width: 768, depth: 12, heads: 12, hidden: 2048 };

const BB: DetokConfig = { patchSize: 16, side: 16, channels: 16, encoder: BASE, decoder: BASE };

export const detokPresets: ModelPreset[] = [
  {
    name: 'l-detok-bb',
    kind: 'tokenizer',
    describe: 'l-DeTok, base encoder and decoder, trained to reconstruct from noisy, masked latents',
    licence: 'MIT',
    imageSize: 256,
    tokens: BB.side ** 2,
    channels: BB.channels,
    shapes: () => detokShapes(BB),
  },
];

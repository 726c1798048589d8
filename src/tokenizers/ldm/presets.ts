import type { ModelPreset } from '../../nn/index.js';
import { ldmShapes, type LdmArchitecture } from './shapes.js';

/** VA-VAE f16d32 (Yao & Wang 2025), config of the published weights. */
const VA_VAE: LdmArchitecture = {
  ch: 128,
  chMult: [1, 1, 2, 2, 4],
  numResBlocks: 2,
  attnResolutions: [16],
  resolution: 256,
  zChannels: 32,
  embedDim: 32,
  moments: 2,
  quantConv: true,
  postQuantConv: true,
};

/** Stable Diffusion's autoencoder f8d4 (Rombach et al. 2022). */
const SD_VAE: LdmArchitecture = {
  ...VA_VAE,
  chMult: [1, 2, 4, 4],
  attnResolutions: [],
  zChannels: 4,
  embedDim: 4,
};

/** The convolutional KL-16 of MAETok's code, whose encoder leaves mean and log-variance to the quant convolution. */
const KL_16: LdmArchitecture = { ...VA_VAE, zChannels: 256, encoderChannels: 256, embedDim: 8 };

export const ldmPresets: ModelPreset[] = [
  preset('va-vae-f16d32', 'VA-VAE, a KL autoencoder aligned with DINOv2', VA_VAE, 'MIT'),
  preset('sd-vae-f8d4', 'Stable Diffusion’s KL autoencoder', SD_VAE, 'MIT'),
  preset('kl-16', 'convolutional KL autoencoder of MAETok’s code', KL_16),
];

function preset(name: string, describe: string, architecture: LdmArchitecture, licence?: string): ModelPreset {
  const side = 256 / 2 ** (architecture.chMult.length - 1);
  return {
    name,
    kind: 'tokenizer',
    describe,
    licence,
    imageSize: 256,
    tokens: side * side,
    channels: architecture.embedDim,
    shapes: () => ldmShapes(architecture),
  };
}

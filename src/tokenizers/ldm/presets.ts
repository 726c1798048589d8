import type { ModelPreset } from '../../nn/index.js';
import { isStatistic, ldmShapes, type LdmArchitecture } from './shapes.js';

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

/** The f8d16 of FLUX.1 and Stable Diffusion 3, without convolutions around the latents. */
const F8_D16: LdmArchitecture = { ...SD_VAE, zChannels: 16, embedDim: 16, quantConv: false, postQuantConv: false };

const FLUX_2: LdmArchitecture = { ...SD_VAE, zChannels: 32, embedDim: 32, patch: [2, 2] };

/** The convolutional KL-16 of MAETok's code, whose encoder leaves mean and log-variance to the quant convolution. */
const KL_16: LdmArchitecture = { ...VA_VAE, zChannels: 256, encoderChannels: 256, embedDim: 8 };

export const ldmPresets: ModelPreset[] = [
  preset('va-vae-f16d32', 'VA-VAE, a KL autoencoder aligned with DINOv2', VA_VAE, 'MIT'),
  preset('va-vae-f16d64', 'VA-VAE with 64 channels', { ...VA_VAE, zChannels: 64, embedDim: 64 }, 'MIT'),
  preset('sd-vae-f8d4', 'Stable Diffusion’s KL autoencoder', SD_VAE, 'MIT'),
  preset('sdxl-vae', 'Stable Diffusion XL’s KL autoencoder', SD_VAE, 'unknown'),
  preset('eq-vae', 'SD-VAE tuned for equivariance', SD_VAE, 'unknown'),
  preset('sd3-vae', 'KL autoencoder of Stable Diffusion 3 and 3.5', F8_D16, 'Stability AI Community License'),
  preset('flux-vae', 'KL autoencoder of FLUX.1', F8_D16, 'Apache-2.0 (schnell), non-commercial (dev)'),
  preset('flux2-vae', 'KL autoencoder of FLUX.2, latents packed 2×2', FLUX_2, 'Apache-2.0'),
  preset('e2e-sdvae', 'REPA-E’s, SD-VAE tuned end to end', SD_VAE, 'MIT'),
  preset('e2e-invae', 'REPA-E’s, tuned end to end', VA_VAE, 'MIT'),
  preset('e2e-vavae', 'REPA-E’s, VA-VAE tuned end to end', VA_VAE, 'MIT'),
  preset('e2e-flux-vae', 'REPA-E’s, FLUX.1’s VAE tuned end to end', F8_D16, 'MIT'),
  preset('e2e-sd3.5-vae', 'REPA-E’s, Stable Diffusion 3.5’s VAE tuned end to end', F8_D16, 'MIT'),
  preset('kl-16', 'convolutional KL autoencoder of MAETok’s code', KL_16),
];

function preset(name: string, describe: string, architecture: LdmArchitecture, licence?: string): ModelPreset {
  const side = 256 / 2 ** (architecture.chMult.length - 1);
  const [rows, columns] = architecture.patch ?? [1, 1];
  return {
    name,
    kind: 'tokenizer',
    describe,
    licence,
    imageSize: 256,
    tokens: (side * side) / (rows * columns),
    channels: architecture.embedDim * rows * columns,
    shapes: () => ldmShapes(architecture),
    isBuffer: isStatistic,
  };
}

import type { ModelPreset } from '../../nn/index.js';
import { wanShapes, type WanArchitecture } from './shapes.js';

/** Wan 2.1 (Wan team 2025), whose network Qwen-Image (Wu et al. 2025) has with weights of its own. */
const WAN_2_1: WanArchitecture = {
  baseDim: 96,
  decoderBaseDim: 96,
  zDim: 16,
  dimMult: [1, 2, 4, 4],
  numResBlocks: 2,
  attnScales: [],
  temporalDownsample: [false, true, true],
  isResidual: false,
  patchSize: 1,
};

const WAN_2_2: WanArchitecture = {
  ...WAN_2_1,
  baseDim: 160,
  decoderBaseDim: 256,
  zDim: 48,
  isResidual: true,
  patchSize: 2,
};

export const wanPresets: ModelPreset[] = [
  preset('qwen-image-vae', 'Qwen-Image’s KL autoencoder, on single pictures', WAN_2_1, 'Apache-2.0'),
  preset('wan-vae', 'KL autoencoder of Wan 2.1, on single pictures', WAN_2_1, 'Apache-2.0'),
  preset('wan-2-2-vae', 'KL autoencoder of Wan 2.2 (5B), on single pictures', WAN_2_2, 'Apache-2.0'),
  preset('e2e-qwenimage-vae', 'REPA-E’s, Qwen-Image’s VAE tuned end to end', WAN_2_1, 'MIT'),
];

function preset(name: string, describe: string, architecture: WanArchitecture, licence: string): ModelPreset {
  const side = 256 / (architecture.patchSize * 2 ** (architecture.dimMult.length - 1));
  return {
    name,
    kind: 'tokenizer',
    describe,
    licence,
    imageSize: 256,
    tokens: side * side,
    channels: architecture.zDim,
    shapes: () => wanShapes(architecture),
  };
}

import type { ModelPreset } from '../../nn/index.js';
import type { VtpConfig, VtpStack } from './config.js';
import { isBuffer, vtpShapes } from './shapes.js';

/** Two thirds of four times the width, rounded up to a multiple of 8. */
const hidden = (width: number): number => 8 * Math.ceil(Math.trunc((4 * width * 2) / 3) / 8);

const stack = (width: number, depth: number, heads: number, norm: VtpStack['norm']): VtpStack => ({
  width,
  depth,
  heads,
  hidden: hidden(width),
  gated: true,
  norm,
  eps: norm === 'rms' ? 1e-5 : 1e-6,
  qkNorm: true,
  layerScale: false,
});

/** The sizes of the report (Yao et al. 2025) with the authors' class at its other defaults: a decoder of four ViT-L blocks. */
const config = (encoder: VtpStack): VtpConfig => ({
  imageSize: 256,
  patchSize: 16,
  channels: 64,
  storageTokens: 0,
  encoder,
  decoder: stack(1024, 4, 16, 'layer'),
  upscale: 16,
});

const SIZES = {
  small: stack(384, 12, 6, 'rms'),
  base: stack(768, 12, 12, 'rms'),
  large: stack(1024, 24, 16, 'rms'),
};

/** Without the text tower, which no tokenizer needs. */
export const vtpPresets: ModelPreset[] = Object.entries(SIZES).map(([size, encoder]) => ({
  name: `vtp-${size}-f16d64`,
  kind: 'tokenizer',
  describe: `VTP, a ViT-${size[0].toUpperCase()} trained to reconstruct, to match captions and by itself; without its text tower`,
  licence: 'modified MIT',
  imageSize: 256,
  tokens: 256,
  channels: 64,
  shapes: () => vtpShapes(config(encoder)),
  isBuffer,
}));

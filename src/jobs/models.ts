import { isBuffer, MODELS, networkConfig, shapes, type LatentShape, type NetworkConfig } from '../diffusion/index.js';
import type { ModelPreset } from '../nn/index.js';
import { FAMILIES } from '../tokenizers/index.js';

const MAETOK_LATENTS: LatentShape = { tokens: 128, channels: 32 };
const VA_VAE_LATENTS: LatentShape = { tokens: 256, channels: 32, grid: [16, 16] };
const RAE_LATENTS: LatentShape = { tokens: 256, channels: 768, grid: [16, 16] };
const SD_VAE_LATENTS: LatentShape = { tokens: 1024, channels: 4, grid: [32, 32] };

/** Published diffusion models, and every size of ours on the latents that the paper compares. */
const diffusionPresets: ModelPreset[] = [
  diffusion('sit-xl_maetok-b-128', 'sit-xl', 'SiT-XL/1 on MAETok’s tokens, published', MAETOK_LATENTS, {
    licence: 'unknown',
  }),
  diffusion('sit-xl-2', 'sit-xl', 'official SiT-XL/2 on SD-VAE latents', SD_VAE_LATENTS, {
    patch: 2,
    learnSigma: true,
    licence: 'MIT',
  }),
  diffusion('repa-sit-xl-2', 'sit-xl', 'REPA’s SiT-XL/2, aligned with DINOv2-B', SD_VAE_LATENTS, {
    patch: 2,
    learnSigma: true,
    projectors: { after: 8, width: 2048, features: [768] },
    licence: 'MIT',
  }),
  diffusion('lightningdit-xl-1', 'lightningdit-xl', 'LightningDiT-XL/1 on VA-VAE latents, published', VA_VAE_LATENTS, {
    licence: 'MIT',
  }),
  diffusion('rae-ditdh-xl', 'lightningdit-xl', 'RAE’s DiT-DH-XL on DINOv2-B tokens, with a wide head', RAE_LATENTS, {
    head: { width: 2048, depth: 2, heads: 16 },
    timeFeatures: 'drawn',
    licence: 'MIT',
  }),
  ...Object.keys(MODELS).map(model =>
    MODELS[model].rope
      ? diffusion(model, model, 'size of train lightningdit, on 16×16 tokens of 32', VA_VAE_LATENTS)
      : diffusion(model, model, 'size of train sit, on 128 tokens of 32', MAETOK_LATENTS),
  ),
];

/** ImageNet's classes, as all published ones have. */
const CLASSES = 1000;

function diffusion(
  name: string,
  model: string,
  describe: string,
  latents: LatentShape,
  { licence, ...options }: Partial<NetworkConfig> & Pick<ModelPreset, 'licence'> = {},
): ModelPreset {
  return {
    name,
    kind: 'diffusion',
    describe,
    licence,
    imageSize: 256,
    tokens: latents.tokens,
    channels: latents.channels,
    shapes: () => shapes(networkConfig(model, latents, { classes: CLASSES, ...options })),
    isBuffer,
  };
}

/** Every model of a known size. */
export const MODEL_PRESETS: ModelPreset[] = [...FAMILIES.flatMap(({ presets }) => presets), ...diffusionPresets];

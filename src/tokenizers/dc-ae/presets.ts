import type { ModelPreset } from '../../nn/index.js';
import { dcAeShapes, type DcAeArchitecture, type Side } from './shapes.js';
import { isStatistic } from './tokenizer.js';

/* The published deep-compression autoencoders (Chen et al. 2024; "sana": Xie et al. 2024). */

const WIDTHS = [128, 256, 512, 512, 1024, 1024];
const each = <T>(value: T, stages: number): T[] => Array.from({ length: stages }, () => value);

function side(depths: number[], norm: 'rms' | 'batch', scales: number[]): Side {
  const stages = depths.length;
  const inner = stages - 3;
  return {
    widths: [...WIDTHS, ...each(2048, stages - WIDTHS.length)],
    depths,
    blocks: [...each('residual' as const, 3), ...each('vit' as const, inner)],
    norms: [...each(norm, 3), ...each('rms' as const, inner)],
    scales: [...each([], 3), ...each(scales, inner)],
  };
}

/** The in-1.0 and mix-1.0 models: depth 2 in every transformer stage. */
const imageNet = (latentChannels: number, transformerStages: number): DcAeArchitecture => ({
  latentChannels,
  headDim: 32,
  encoder: side([0, 4, 8, ...each(2, transformerStages)], 'rms', []),
  decoder: side([0, 5, 10, ...each(2, transformerStages)], 'batch', []),
  downsample: 'pixel_unshuffle',
  upsample: 'pixel_shuffle',
});

const SANA: DcAeArchitecture = {
  latentChannels: 32,
  headDim: 32,
  encoder: side([2, 2, 2, 3, 3, 3], 'rms', [5]),
  decoder: side([3, 3, 3, 3, 3, 3], 'rms', [5]),
  downsample: 'conv',
  upsample: 'interpolate',
};

export const dcAePresets: ModelPreset[] = [
  preset('dc-ae-f32c32', 256, imageNet(32, 3)),
  preset('dc-ae-f64c128', 512, imageNet(128, 4)),
  preset('dc-ae-f128c512', 512, imageNet(512, 5)),
  preset('dc-ae-f32c32-sana', 512, SANA),
];

function preset(name: string, imageSize: number, architecture: DcAeArchitecture): ModelPreset {
  const grid = imageSize / 2 ** (architecture.encoder.widths.length - 1);
  return {
    name,
    kind: 'tokenizer',
    describe: 'deep-compression autoencoder',
    licence: 'Apache-2.0',
    imageSize,
    tokens: grid * grid,
    channels: architecture.latentChannels,
    shapes: () => dcAeShapes(architecture),
    isBuffer: isStatistic,
  };
}

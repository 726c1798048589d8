import type { Shapes } from '../nn/index.js';
import { sequenceLength, swiGluWidth, type NetworkConfig } from './config.js';

/** Numbers in the time's sinusoid, and in that of GFT's guidance input. */
export const TIME_FEATURES = 256;
export const BETA_FEATURES = 512;

/** Every key of the published state dicts with its shape; nothing is allocated. */
export function shapes(config: NetworkConfig): Shapes {
  const { width, channels, patch, classes } = config;
  const outputs = patch ** 2 * channels * (config.learnSigma ? 2 : 1);
  return {
    pos_embed: [1, sequenceLength(config), width],
    ...(config.grid
      ? { 'x_embedder.proj.weight': [width, channels, patch, patch], 'x_embedder.proj.bias': [width] }
      : linear('x_embedder', channels, width)),
    ...linear('t_embedder.mlp.0', TIME_FEATURES, width),
    ...linear('t_embedder.mlp.2', width, width),
    ...betaShapes(config),
    'y_embedder.embedding_table.weight': [classes + 1, width],
    ...rotaryShapes(config),
    ...merged(Array.from({ length: config.depth }, (_, i) => blockShapes(config, `blocks.${i}`))),
    ...(config.norm === 'rms' ? { 'final_layer.norm_final.weight': [width] } : {}),
    ...linear('final_layer.adaLN_modulation.1', width, 2 * width),
    ...linear('final_layer.linear', width, outputs),
    ...projectorShapes(config),
  };
}

/** Stored tables that no gradient moves. Authors who count parameters count `pos_embed` and not the rotation. */
export const isTable = (key: string): boolean => key === 'pos_embed' || key.startsWith('feat_rope.');

/** Stored under the state dict's buffers. */
export const isBuffer = (key: string): boolean => key.startsWith('feat_rope.');

function linear(name: string, inputs: number, outputs: number): Shapes {
  return { [`${name}.weight`]: [outputs, inputs], [`${name}.bias`]: [outputs] };
}

function betaShapes({ beta, width }: NetworkConfig): Shapes {
  if (!beta) return {};
  if (beta === 'linear') return { 't_embedder.cond_proj.weight': [TIME_FEATURES, BETA_FEATURES] };
  return {
    ...linear('beta_embedder.mlp.0', TIME_FEATURES, width),
    ...linear('beta_embedder.mlp.2', width, width),
    ...(beta === '3_layer_mlp' ? linear('beta_embedder.mlp.4', width, width) : {}),
  };
}

function blockShapes(config: NetworkConfig, at: string): Shapes {
  const { width } = config;
  const hidden = config.mlp === 'swiglu' ? swiGluWidth(config) : Math.floor(config.mlpRatio * width);
  return {
    ...(config.norm === 'rms' ? { [`${at}.norm1.weight`]: [width], [`${at}.norm2.weight`]: [width] } : {}),
    ...linear(`${at}.attn.qkv`, width, 3 * width),
    ...(config.qkNorm ? { ...headNorm(config, `${at}.attn.q_norm`), ...headNorm(config, `${at}.attn.k_norm`) } : {}),
    ...linear(`${at}.attn.proj`, width, width),
    ...(config.mlp === 'swiglu'
      ? { ...linear(`${at}.mlp.w12`, width, 2 * hidden), ...linear(`${at}.mlp.w3`, hidden, width) }
      : { ...linear(`${at}.mlp.fc1`, width, hidden), ...linear(`${at}.mlp.fc2`, hidden, width) }),
    ...linear(`${at}.adaLN_modulation.1`, width, (config.shift ? 6 : 4) * width),
  };
}

function headNorm({ width, heads, norm }: NetworkConfig, name: string): Shapes {
  const shape = [width / heads];
  return norm === 'rms' ? { [`${name}.weight`]: shape } : { [`${name}.weight`]: shape, [`${name}.bias`]: shape };
}

/** The rotation is stored once for all blocks, as LightningDiT does. */
function rotaryShapes(config: NetworkConfig): Shapes {
  if (!config.rope) return {};
  const table = [sequenceLength(config), config.width / config.heads];
  return { 'feat_rope.freqs_cos': table, 'feat_rope.freqs_sin': table };
}

function projectorShapes({ projectors, width }: NetworkConfig): Shapes {
  if (!projectors) return {};
  return merged(
    projectors.features.map((features, k) => ({
      ...linear(`projectors.${k}.0`, width, projectors.width),
      ...linear(`projectors.${k}.2`, projectors.width, projectors.width),
      ...linear(`projectors.${k}.4`, projectors.width, features),
    })),
  );
}

const merged = (parts: Shapes[]): Shapes => Object.assign({}, ...parts) as Shapes;

import type { Shapes } from '../nn/index.js';
import { headConfig, sequenceLength, swiGluWidth, type NetworkConfig } from './config.js';

/** Numbers in the time's sinusoid, and in that of GFT's guidance input. */
export const TIME_NUMBERS = 256;
export const BETA_NUMBERS = 512;
/** Frequencies at which a time is embedded where they were drawn; each gives a sine and a cosine. */
const DRAWN_FREQUENCIES = 256;

/** The layer that predicts from an early block, as RAEv2 calls it. */
export const EARLY_LAYER = 'base_final_layer';

/** Every key of the published state dicts with its shape; nothing is allocated. */
export function shapes(config: NetworkConfig): Shapes {
  const { width, classes, depth, head } = config;
  return {
    pos_embed: [1, sequenceLength(config), width],
    ...embedderShapes(config, head ? 's_embedder' : 'x_embedder'),
    ...timeShapes(config),
    ...betaShapes(config),
    'y_embedder.embedding_table.weight': [classes + 1, width],
    ...rotaryShapes(config, head ? 'enc_feat_rope' : 'feat_rope'),
    ...merged(Array.from({ length: depth }, (_, i) => blockShapes(config, `blocks.${i}`))),
    ...headShapes(config),
    ...finalShapes(headConfig(config), 'final_layer'),
    ...(config.early ? finalShapes(config, EARLY_LAYER) : {}),
    ...projectorShapes(config),
  };
}

/** Stored tables that no gradient moves. Authors who count parameters count all of them but the rotation. */
export const isTable = (key: string): boolean => key === 'pos_embed' || key === 't_embedder.W' || isBuffer(key);

/** Stored under the state dict's buffers. */
export const isBuffer = (key: string): boolean => key.includes('feat_rope.');

function embedderShapes({ grid, width, channels, patch }: NetworkConfig, at: string): Shapes {
  return grid
    ? { [`${at}.proj.weight`]: [width, channels, patch, patch], [`${at}.proj.bias`]: [width] }
    : linear(at, channels, width);
}

function timeShapes({ timeFeatures, width }: NetworkConfig): Shapes {
  const drawn = timeFeatures === 'drawn';
  return {
    ...(drawn ? { 't_embedder.W': [DRAWN_FREQUENCIES] } : {}),
    ...linear('t_embedder.mlp.0', drawn ? 2 * DRAWN_FREQUENCIES : TIME_NUMBERS, width),
    ...linear('t_embedder.mlp.2', width, width),
  };
}

function headShapes(config: NetworkConfig): Shapes {
  if (!config.head) return {};
  const own = headConfig(config);
  return {
    ...embedderShapes(own, 'x_embedder'),
    ...(own.width === config.width ? {} : linear('s_projector', config.width, own.width)),
    ...rotaryShapes(own, 'dec_feat_rope'),
    ...merged(Array.from({ length: own.depth }, (_, i) => blockShapes(own, `blocks.${config.depth + i}`))),
  };
}

function finalShapes({ width, norm, patch, channels, learnSigma }: NetworkConfig, at: string): Shapes {
  return {
    ...(norm === 'rms' ? { [`${at}.norm_final.weight`]: [width] } : {}),
    ...linear(`${at}.adaLN_modulation.1`, width, 2 * width),
    ...linear(`${at}.linear`, width, patch ** 2 * channels * (learnSigma ? 2 : 1)),
  };
}

function linear(name: string, inputs: number, outputs: number): Shapes {
  return { [`${name}.weight`]: [outputs, inputs], [`${name}.bias`]: [outputs] };
}

function betaShapes({ beta, width }: NetworkConfig): Shapes {
  if (!beta) return {};
  if (beta === 'linear') return { 't_embedder.cond_proj.weight': [TIME_NUMBERS, BETA_NUMBERS] };
  return {
    ...linear('beta_embedder.mlp.0', TIME_NUMBERS, width),
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

/** The rotation is stored once for all blocks of a width, as LightningDiT does. */
function rotaryShapes(config: NetworkConfig, at: string): Shapes {
  if (!config.rope) return {};
  const table = [sequenceLength(config), config.width / config.heads];
  return { [`${at}.freqs_cos`]: table, [`${at}.freqs_sin`]: table };
}

function projectorShapes({ projectors, width }: NetworkConfig): Shapes {
  if (!projectors) return {};
  const { kind = 'mlp', width: hidden, features } = projectors;
  const each = {
    mlp: (at: string, outputs: number): Shapes => ({
      ...linear(`${at}.0`, width, hidden),
      ...linear(`${at}.2`, hidden, hidden),
      ...linear(`${at}.4`, hidden, outputs),
    }),
    conv: (at: string, outputs: number): Shapes => ({
      [`${at}.projection_layer.weight`]: [outputs, width, 3, 3],
      [`${at}.projection_layer.bias`]: [outputs],
    }),
  };
  return merged(features.map((outputs, k) => each[kind](`projectors.${k}`, outputs)));
}

const merged = (parts: Shapes[]): Shapes => Object.assign({}, ...parts) as Shapes;

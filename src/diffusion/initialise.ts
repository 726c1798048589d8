import { tf, type RandomStream, type Tensor } from '../engine/index.js';
import { normal, xavierUniform, type Float32Data, type Params } from '../nn/index.js';
import { headConfig, type NetworkConfig } from './config.js';
import { positionTable, rotaryTables } from './positions.js';
import { shapes } from './shapes.js';

/**
 * Initial parameters as DiT and its successors start: linear layers Glorot-uniform without bias, embeddings and the
 * time's layers normal (0.02), everything that modulates and the last layer zero, so that each block is the identity.
 */
export function initialise(config: NetworkConfig, random: RandomStream): Params {
  const tables = initialTables(config);
  return Object.fromEntries(
    Object.entries(shapes(config)).map(([name, shape]) => [
      name,
      Object.hasOwn(tables, name)
        ? tf.tensor(tables[name].data, shape, 'float32')
        : initial(name, shape, random.for(name)),
    ]),
  );
}

/** The fixed tables of a state dict: positions, and cosines and sines of the rotation. */
export function initialTables(config: NetworkConfig): Record<string, Float32Data> {
  const tables = {
    pos_embed: positionTable(config),
    ...(config.head
      ? { ...rotation(config, 'enc_feat_rope'), ...rotation(headConfig(config), 'dec_feat_rope') }
      : rotation(config, 'feat_rope')),
  };
  const all = shapes(config);
  return Object.fromEntries(
    Object.entries(tables).map(([name, data]) => [name, { shape: all[name], dtype: 'float32', data }]),
  );
}

function rotation(config: NetworkConfig, at: string): Record<string, Float32Array> {
  if (!config.rope) return {};
  const { cos, sin } = rotaryTables(config);
  return { [`${at}.freqs_cos`]: cos, [`${at}.freqs_sin`]: sin };
}

function initial(name: string, shape: number[], random: RandomStream): Tensor {
  if (name.endsWith('.bias')) return tf.zeros(shape);
  if (name.includes('adaLN_modulation') || name.endsWith('final_layer.linear.weight') || name.includes('cond_proj'))
    return tf.zeros(shape);
  if (name === 't_embedder.W') return normal(random, shape, 1);
  if (name.includes('norm')) return tf.ones(shape);
  if (name.includes('embedding_table') || /^(t|beta)_embedder/.test(name)) return normal(random, shape, 0.02);
  return name.endsWith('_embedder.proj.weight') ? patchKernel(random, shape) : xavierUniform(random, shape);
}

/** The patch embedding starts as the linear layer that it is, [d, c·p·p], not as a convolution. */
function patchKernel(random: RandomStream, [d, c, p, q]: number[]): Tensor {
  return tf.tidy(() => xavierUniform(random, [d, c * p * q]).reshape([d, c, p, q]));
}

import { tf, type RandomStream, type Tensor } from '../engine/index.js';
import { normal, xavierUniform, type Float32Data, type Params } from '../nn/index.js';
import type { NetworkConfig } from './config.js';
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
  const rotary = config.rope ? rotaryTables(config) : undefined;
  const tables = {
    pos_embed: positionTable(config),
    ...(rotary && { 'feat_rope.freqs_cos': rotary.cos, 'feat_rope.freqs_sin': rotary.sin }),
  };
  const all = shapes(config);
  return Object.fromEntries(
    Object.entries(tables).map(([name, data]) => [name, { shape: all[name], dtype: 'float32', data }]),
  );
}

function initial(name: string, shape: number[], random: RandomStream): Tensor {
  if (name.endsWith('.bias')) return tf.zeros(shape);
  if (name.includes('adaLN_modulation') || name === 'final_layer.linear.weight' || name.includes('cond_proj'))
    return tf.zeros(shape);
  if (name.includes('norm')) return tf.ones(shape);
  if (name.includes('embedding_table') || /^(t|beta)_embedder/.test(name)) return normal(random, shape, 0.02);
  return name === 'x_embedder.proj.weight' ? patchKernel(random, shape) : xavierUniform(random, shape);
}

/** The patch embedding starts as the linear layer that it is, [d, c·p·p], not as a convolution. */
function patchKernel(random: RandomStream, [d, c, p, q]: number[]): Tensor {
  return tf.tidy(() => xavierUniform(random, [d, c * p * q]).reshape([d, c, p, q]));
}

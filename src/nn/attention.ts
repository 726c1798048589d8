import { matMul, tf, type Tensor } from '../engine/index.js';
import { layerNorm, linear, rmsNorm } from './layers.js';
import { under, type Params } from './params.js';
import { rotate, type Rotation } from './rotary.js';

export interface AttentionOptions {
  heads: number;
  /** Turns queries and keys by their positions. */
  rotation?: Rotation | undefined;
  /** Normalisation of each head's queries and keys (`q_norm`, `k_norm`) where the layer has it. */
  qkNorm?: { kind: 'layer' | 'rms'; eps: number } | undefined;
}

/**
 * Multi-head self-attention (Vaswani et al. 2017, eq. 1) with `qkv` [3c, c] and `proj` [c, c]; rows of `qkv` are q,
 * then k, then v, each head-major. x [n, t, c] → [n, t, c].
 */
export function attention(params: Params, x: Tensor, { heads, rotation, qkNorm }: AttentionOptions): Tensor {
  const [n, t, c] = x.shape as [number, number, number];
  const qkv = linear(under(params, 'qkv'), x).reshape([n, t, 3, heads, c / heads]);
  const [q, k, v] = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4])); // each [n, h, t, d]
  const place = (name: string, queriesOrKeys: Tensor): Tensor => {
    const normal = qkNorm ? NORMS[qkNorm.kind](under(params, name), queriesOrKeys, qkNorm.eps) : queriesOrKeys;
    return rotation ? rotate(rotation, normal) : normal;
  };
  const mixed = tf.transpose(attend(place('q_norm', q), place('k_norm', k), v), [0, 2, 1, 3]).reshape([n, t, c]);
  return linear(under(params, 'proj'), mixed);
}

const NORMS = { layer: layerNorm, rms: rmsNorm };

/** softmax(q kᵀ / √d) v per head. q [n, h, t, d], k and v [n, h, s, d] → [n, h, t, d]. */
export function attend(q: Tensor, k: Tensor, v: Tensor): Tensor {
  return scaledDotProduct(q, k, v);
}

/**
 * One custom gradient for the whole: of the t × s matrices only the softmax is kept, and the row sums of dP∘P are
 * those of dO∘O, which are s/d times smaller.
 */
const scaledDotProduct = tf.customGrad((q, k, v, save) => {
  const [queries, keys, values] = [q as Tensor, k as Tensor, v as Tensor];
  const scale = queries.shape[3]! ** -0.5;
  const scaled = queries.mul(scale);
  const weights = tf.softmax(matMul(scaled, keys, { transposeB: true }));
  const output = matMul(weights, values);
  (save as unknown as (saved: Tensor[]) => void)([scaled, keys, values, weights, output]);
  return {
    value: output,
    gradFunc: (dy: Tensor, saved: Tensor[]) => {
      const [sq, sk, sv, p, o] = saved;
      const dv = matMul(p, dy, { transposeA: true });
      const dp = matMul(dy, sv, { transposeB: true });
      const ds = dp.sub(dy.mul(o).sum(-1, true)).mul(p);
      return [matMul(ds, sk).mul(scale), matMul(ds, sq, { transposeA: true }), dv];
    },
  };
});

import { matMul, tf, type Tensor } from '../engine/index.js';
import { differentiable } from './differentiable.js';
import { layerNorm, linear, rmsNorm } from './layers.js';
import { under, type Params } from './params.js';
import { angleGradient, fromTables, rotate, tablesOf, turned, turnedBack, type Rotation } from './rotary.js';

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
export function attention(params: Params, x: Tensor, options: AttentionOptions): Tensor {
  const qkv = linear(under(params, 'qkv'), x);
  const mixed = options.qkNorm ? normalisedHeads(params, qkv, options) : mixHeads(qkv, options);
  return linear(under(params, 'proj'), mixed);
}

const NORMS = { layer: layerNorm, rms: rmsNorm };

function normalisedHeads(params: Params, qkv: Tensor, { heads, rotation, qkNorm }: AttentionOptions): Tensor {
  const [q, k, v] = splitHeads(qkv, heads);
  const place = (name: string, queriesOrKeys: Tensor): Tensor => {
    const normal = qkNorm ? NORMS[qkNorm.kind](under(params, name), queriesOrKeys, qkNorm.eps) : queriesOrKeys;
    return rotation ? rotate(rotation, normal) : normal;
  };
  return joinHeads(attend(place('q_norm', q), place('k_norm', k), v));
}

/** qkv [n, t, 3c] → queries, keys and values [n, h, t, d] each. */
function splitHeads(qkv: Tensor, heads: number): [q: Tensor, k: Tensor, v: Tensor] {
  const [n, t, c3] = qkv.shape as [number, number, number];
  const split = qkv.reshape([n, t, 3, heads, c3 / 3 / heads]);
  return tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4])) as [Tensor, Tensor, Tensor];
}

/** x [n, h, t, d] → [n, t, c]. */
function joinHeads(x: Tensor): Tensor {
  const [n, h, t, d] = x.shape as [number, number, number, number];
  return tf.transpose(x, [0, 2, 1, 3]).reshape([n, t, h * d]);
}

/**
 * From the linear layer's queries, keys and values [n, t, 3c] to the mixed values [n, t, c], as one function with one
 * gradient: of the t × s matrices only the softmax is kept, and queries and keys only as they were turned.
 */
function mixHeads(qkv: Tensor, { heads, rotation }: AttentionOptions): Tensor {
  const core = differentiable(
    joined => {
      const [q, k, v] = splitHeads(joined, heads);
      const [turnedQ, turnedK] = rotation ? [turned(rotation, q), turned(rotation, k)] : [q, k];
      const scaled = turnedQ.mul(q.shape[3]! ** -0.5);
      const weights = tf.softmax(matMul(scaled, turnedK, { transposeB: true }));
      const output = joinHeads(matMul(weights, v));
      return [output, scaled, turnedK, v, weights, output, ...(rotation ? tablesOf(rotation) : [])];
    },
    (dy, q, k, v, weights, output, ...tables) => {
      const [n, h, t, d] = q.shape as [number, number, number, number];
      const perHead = (x: Tensor): Tensor => tf.transpose(x.reshape([n, t, h, -1]), [0, 2, 1, 3]);
      const rowSums = perHead(dy.mul(output).reshape([n, t, h, d]).sum(-1));
      const [dqScaled, dk, dv] = attentionGradients(perHead(dy), rowSums, q, k, v, weights);
      const dq = dqScaled.mul(d ** -0.5);
      const kept = rotation && fromTables(tables);
      const back = kept ? [turnedBack(kept, dq), turnedBack(kept, dk), dv] : [dq, dk, dv];
      const dqkv = tf.transpose(tf.stack(back), [1, 3, 0, 2, 4]).reshape([n, t, 3 * h * d]);
      if (!kept?.angles) return [dqkv];
      return [dqkv, angleGradient(kept.angles, dqScaled, q).add(angleGradient(kept.angles, dk, k))];
    },
  );
  return rotation?.angles ? core(qkv, rotation.angles) : core(qkv);
}

/** softmax(q kᵀ / √d) v per head. q [n, h, t, d], k and v [n, h, s, d] → [n, h, t, d]. */
export function attend(q: Tensor, k: Tensor, v: Tensor): Tensor {
  return scaledDotProduct(q, k, v);
}

const scaledDotProduct = differentiable(
  (q, k, v) => {
    const scaled = q.mul(q.shape[3]! ** -0.5);
    const weights = tf.softmax(matMul(scaled, k, { transposeB: true }));
    const output = matMul(weights, v);
    return [output, scaled, k, v, weights, output];
  },
  (dy, q, k, v, weights, output) => {
    const [dq, dk, dv] = attentionGradients(dy, dy.mul(output).sum(-1, true), q, k, v, weights);
    return [dq.mul(q.shape[3]! ** -0.5), dk, dv];
  },
);

/**
 * Gradients of softmax(q kᵀ) v with respect to q, k and v from the gradient of the output. The row sums of dP ∘ P
 * [n, h, t, 1] are those of dO ∘ O, which has s/d times fewer numbers.
 */
function attentionGradients(
  dy: Tensor,
  rowSums: Tensor,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  weights: Tensor,
): [dq: Tensor, dk: Tensor, dv: Tensor] {
  const dv = matMul(weights, dy, { transposeA: true });
  const ds = matMul(dy, v, { transposeB: true }).sub(rowSums).mul(weights);
  return [matMul(ds, k), matMul(ds, q, { transposeA: true }), dv];
}

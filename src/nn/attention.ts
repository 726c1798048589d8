import { hasKernels, matMul, tf, type Tensor } from '../engine/index.js';
import { differentiable } from './differentiable.js';
import { fusedAttention } from './fused.js';
import { layerNorm, linear } from './layers.js';
import { under, type Params } from './params.js';
import { rmsNorm } from './rms-norm.js';
import { layerOf } from './rows.js';
import {
  angleGradient,
  fromTables,
  rotate,
  rotated,
  rotatedBack,
  scaledTables,
  tablesOf,
  type Rotation,
} from './rotary.js';

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
  if (hasKernels() && !options.qkNorm) return withKernels(params, x, options);
  const qkv = linear(under(params, 'qkv'), x);
  const mixed = options.qkNorm ? normalisedHeads(params, qkv, options) : mixHeads(qkv, options);
  return linear(under(params, 'proj'), mixed);
}

function withKernels(params: Params, x: Tensor, { heads, rotation }: AttentionOptions): Tensor {
  const none = tf.zeros([0]);
  const angles = rotation?.angles ? [rotation.angles] : [];
  return fusedAttention(
    [x, ...layerOf(params, 'qkv'), ...layerOf(params, 'proj'), ...angles],
    rotation ?? { cos: none, sin: none },
    heads,
  );
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
 * gradient: of the t × t matrices only the softmax is kept, and queries and keys only as rotated.
 */
function mixHeads(qkv: Tensor, { heads, rotation }: AttentionOptions): Tensor {
  const core = differentiable(
    joined => {
      const [n, t, c3] = joined.shape as [number, number, number];
      const d = c3 / 3 / heads;
      const split = tf.transpose(joined.reshape([n, t, 3, heads, d]), [2, 0, 3, 1, 4]);
      const [qk, v] = [split.slice(0, 2).reshape([2 * n, heads, t, d]), split.slice(2, 1).reshape([n, heads, t, d])];
      // Both sides by the root of 1 / √d: in the rotation's small tables where there is one.
      const scale = d ** -0.25;
      const tables = rotation && scaledTables(rotation, scale);
      const placed = tables ? rotated(tables, qk) : qk.mul(scale);
      const [q, k] = halves(placed);
      const weights = tf.softmax(matMul(q, k, { transposeB: true }));
      const output = joinHeads(matMul(weights, v));
      // A copy: a view of the values would keep all of `split` in memory.
      return [output, placed, v.mul(1), weights, output, ...(tables ? tablesOf(tables) : [])];
    },
    (dy, placed, v, weights, output, ...tables) => {
      const [n, h, t, d] = v.shape as [number, number, number, number];
      const perHead = (x: Tensor): Tensor => tf.transpose(x.reshape([n, t, h, -1]), [0, 2, 1, 3]);
      const rowSums = perHead(dy.mul(output).reshape([n, t, h, d]).sum(-1));
      const [q, k] = halves(placed);
      const [dq, dk, dv] = attentionGradients(perHead(dy), rowSums, q, k, v, weights);
      const dPlaced = tf.concat([dq, dk]);
      const kept = rotation && fromTables(tables);
      const dqk = kept ? rotatedBack(kept, dPlaced) : dPlaced.mul(d ** -0.25);
      const dSplit = tf.concat([dqk, dv]).reshape([3, n, h, t, d]);
      const dqkv = tf.transpose(dSplit, [1, 3, 0, 2, 4]).reshape([n, t, 3 * h * d]);
      return kept?.angles ? [dqkv, angleGradient(kept.angles, dPlaced, placed)] : [dqkv];
    },
  );
  return rotation?.angles ? core(qkv, rotation.angles) : core(qkv);
}

const halves = (x: Tensor): [Tensor, Tensor] => {
  const n = x.shape[0] / 2;
  return [x.slice(0, n), x.slice(n, n)];
};

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

import {
  attended,
  attendedGradient,
  biasedActivation,
  biasedActivationGradient,
  columnSums,
  gatedSum,
  gatedSumGradient,
  inputOperand,
  normalised,
  normalisedGradient,
  operand,
  operandMatMul,
  reshaped,
  splitHeads,
  splitHeadsGradient,
  tf,
  wantsGradient,
  weightOperand,
  type FusedActivation,
  type NormOptions,
  type Tensor,
} from '../engine/index.js';
import { differentiable } from './differentiable.js';
import { asBefore, asRows } from './rows.js';

/*
 * The layers of a transformer over the engine's kernels: everything between two products is one pass over memory, and
 * under `--precision bf16` what enters a product is rounded once, and kept as it was rounded. The same functions as
 * their composed counterparts, which run where the engine has no kernels.
 */

const product = (a: Tensor, b: Tensor): Tensor => operandMatMul(a, b, { to: 'float32' });
/** aᵀ b of two tables of rows. */
const outer = (a: Tensor, b: Tensor): Tensor => operandMatMul(a, b, { transposeA: true, to: 'float32' });

/** Rows · wᵀ + b, both operands, in float32. */
const affineRows = (rows: Tensor, weight: Tensor, bias: Tensor): Tensor =>
  operandMatMul(rows, weight, { transposeB: true, to: 'float32', ...(bias.size > 0 && { bias }) });

/** x [..., in] · wᵀ + b; weight [out, in]. */
export const fusedAffine = differentiable(
  (x, w, bias) => {
    const [rows, weight] = [inputOperand(asRows(x)), weightOperand(w)];
    return [asBefore(affineRows(rows, weight, bias), x), rows, weight];
  },
  (dy, rows, weight) => {
    const d = operand(asRows(dy));
    return [asBefore(product(d, weight), dy), outer(d, rows), columnSums(d)];
  },
);

/** f(rows · wᵀ + b), an operand. */
const activatedRows = (rows: Tensor, weight: Tensor, bias: Tensor, activation: FusedActivation): Tensor =>
  operandMatMul(rows, weight, { transposeB: true, activation, ...(bias.size > 0 && { bias }) });

/** Two linear layers with an activation between; of the wide hidden layer only the first product is kept. */
export const fusedMlp = (activation: FusedActivation): ((...inputs: Tensor[]) => Tensor) =>
  differentiable(
    (x, weight1, bias1, weight2, bias2) => {
      const [rows, w1, w2] = [inputOperand(asRows(x)), weightOperand(weight1), weightOperand(weight2)];
      if (!wantsGradient()) return [asBefore(affineRows(activatedRows(rows, w1, bias1, activation), w2, bias2), x)];
      const hidden = operandMatMul(rows, w1, { transposeB: true });
      const output = affineRows(biasedActivation(hidden, bias1, activation), w2, bias2);
      return [asBefore(output, x), rows, hidden, w1, bias1, w2];
    },
    (dy, rows, hidden, w1, bias1, w2) => {
      const d = operand(asRows(dy));
      const [y, dHidden, dBias1] = biasedActivationGradient(operandMatMul(d, w2), hidden, bias1, activation);
      const dx = asBefore(product(dHidden, w1), dy);
      return [dx, outer(dHidden, rows), dBias1, outer(d, y), columnSums(d)];
    },
  );

/**
 * Multi-head self-attention with both linear layers: x [n, t, c], `qkv` and `proj` weights and biases, and where
 * positions are learned the angles; the rotation's tables are given separately ([0] for none).
 */
export function fusedAttention(
  inputs: [x: Tensor, qkv: Tensor, qkvBias: Tensor, proj: Tensor, projBias: Tensor, ...angles: Tensor[]],
  tables: { cos: Tensor; sin: Tensor },
  heads: number,
): Tensor {
  const [n, t, c] = inputs[0].shape as [number, number, number];
  const scale = (c / heads) ** -0.25;
  const attend = differentiable(
    (x, w, bias, wOut, biasOut, ...learned) => {
      const [rows, weight, proj] = [inputOperand(asRows(x)), weightOperand(w), weightOperand(wOut)];
      const qkv = reshaped(operandMatMul(rows, weight, { transposeB: true }), [n, t, w.shape[0]]);
      const [q, k, v] = splitHeads(qkv, bias, tables, { heads, scale });
      const mixed = reshaped(attended(q, k, v), [n * t, c]);
      const output = affineRows(mixed, proj, biasOut).reshape([n, t, c]);
      return [output, rows, weight, proj, q, k, v, mixed, tables.cos, tables.sin, ...learned];
    },
    (dy, rows, weight, proj, q, k, v, mixed, cos, sin, ...learned) => {
      const d = operand(asRows(dy));
      const dMixed = reshaped(operandMatMul(d, proj), [n, t, heads, c / heads]);
      const [dq, dk, dv] = attendedGradient(dMixed, q, k, v);
      const angles = learned.length > 0 ? learned[0] : tf.zeros([0]);
      const [dqkv, dBias, dAngles] = splitHeadsGradient([dq, dk, dv], [q, k], { cos, sin }, angles, scale);
      const dRows = reshaped(dqkv, [n * t, 3 * c]);
      const dx = product(dRows, weight).reshape([n, t, c]);
      const dLearned = learned.length > 0 ? [dAngles] : [];
      return [dx, outer(dRows, rows), dBias, outer(d, mixed), columnSums(d), ...dLearned];
    },
  );
  return attend(...inputs);
}

/** normal(x) ∘ (offset + gain) + shift; gain and shift with c numbers for all rows, for each of n images, or [0]. */
export function fusedNorm(x: Tensor, gain: Tensor, shift: Tensor, options: NormOptions): Tensor {
  const norm = differentiable(
    (input, gains, shifts) => {
      const [y, statistics] = normalised(input, gains, shifts, options);
      return [y, input, statistics, gains];
    },
    (dy, input, statistics, gains) => normalisedGradient(dy, input, statistics, gains, options),
  );
  return norm(x, gain, shift);
}

/** normal(x), without weights. */
export function fusedBareNorm(x: Tensor, eps: number): Tensor {
  const none = tf.zeros([0]);
  return fusedNorm(x, none, none, { eps, offset: 1 });
}

/** x + y ∘ gate; the gate with c numbers for all rows, or c for each of n images. */
export const fusedResidual = differentiable(
  (x, y, gate) => [gatedSum(x, y, gate), y, gate],
  (dz, y, gate) => [dz.clone(), ...gatedSumGradient(dz, y, gate)],
);

/** An activation by itself. */
export const fusedActivation = (activation: FusedActivation): ((x: Tensor) => Tensor) =>
  differentiable(
    x => [biasedActivation(x, tf.zeros([0]), activation), x],
    (dy, x) => [biasedActivationGradient(dy, x, tf.zeros([0]), activation)[1]],
  );

import { hasKernels, matMul, tf, type Tensor } from '../engine/index.js';
import { differentiable } from './differentiable.js';
import { fusedAffine, fusedBareNorm, fusedNorm, fusedResidual } from './fused.js';
import type { Params } from './params.js';
import { asBefore, asRows } from './rows.js';

/** x [..., in] → x Wᵀ + b [..., out]; weight [out, in] as PyTorch stores it, bias where there is one. */
export function linear(params: Params, x: Tensor): Tensor {
  const { weight } = params;
  if (!('bias' in params)) return matMul(x, weight, { transposeB: true });
  return (hasKernels() ? fusedAffine : affine)(x, weight, params.bias);
}

const affine = differentiable(
  (x, weight, bias) => [asBefore(rowsTimes(asRows(x), weight, bias), x), x, weight],
  (dy, x, weight) => {
    const [rows, drows] = [asRows(x), asRows(dy)];
    return [matMul(dy, weight), matMul(drows, rows, { transposeA: true }), drows.sum(0)];
  },
);

/**
 * x Wᵀ + b of rows [n, in] → [n, out]. In two axes on purpose: TensorFlow adds a bias to a matrix about twice as fast as
 * to anything longer.
 */
export const rowsTimes = (rows: Tensor, weight: Tensor, bias: Tensor): Tensor =>
  matMul(rows, weight, { transposeB: true }).add(bias);

/** Sum over all axes but the last. */
const columnSum = (x: Tensor): Tensor => asRows(x).sum(0);

/** x as it is along each of its longer axes and repeated along those of length 1 that are longer in `shape`. */
export function broadcast(x: Tensor, shape: number[]): Tensor {
  // TensorFlow.js's own gradient adds up a slice for every repetition.
  const broadcastTo = differentiable(
    input => [tf.broadcastTo(input, shape)],
    dy => {
      const repeated = shape.flatMap((side, axis) => (x.shape[axis] === side ? [] : [axis]));
      return [repeated.length > 0 ? dy.sum(repeated, true) : dy.clone()];
    },
  );
  return broadcastTo(x);
}

/** x + y of equal shapes, without the copies of both that TensorFlow.js keeps to look at their shapes later. */
export const residual = differentiable(
  (x, y) => [x.add(y)],
  dy => [dy.clone(), dy.clone()],
);

/**
 * x + y ∘ gate, the end of a residual branch: x, y [n, t, c]; gate [c] as in LayerScale (Touvron et al. 2021), or
 * [n, 1, c] as in adaLN-Zero (Peebles & Xie 2023), or [n, t, c].
 */
export function gatedResidual(x: Tensor, y: Tensor, gate: Tensor): Tensor {
  if (hasKernels()) return fusedResidual(x, y, gate);
  return gate.rank === 1 ? scaledResidual(x, y, gate) : x.add(y.mul(gate));
}

const scaledResidual = differentiable(
  (x, y, scale) => [x.add(y.mul(scale)), y, scale],
  (dy, y, scale) => [dy.clone(), dy.mul(scale), columnSum(dy.mul(y))],
);

/**
 * Layer normalisation over the last axis (Ba et al. 2016): weight and bias [c] where the layer has them, the bare
 * normalisation where `params` is undefined or empty. x [..., c].
 */
export function layerNorm(params: Params | undefined, x: Tensor, eps = 1e-6): Tensor {
  if (params === undefined || !('weight' in params)) return hasKernels() ? fusedBareNorm(x, eps) : bareNorm(eps)(x);
  const { weight } = params;
  const bias = 'bias' in params ? params.bias : tf.zerosLike(weight);
  return hasKernels() ? fusedNorm(x, weight, bias, { eps, offset: 0 }) : affineNorm(eps)(x, weight, bias);
}

/**
 * Adaptive layer normalisation (Peebles & Xie 2023): normal(x) ∘ (1 + scale) + shift, without weights of its own.
 * x [n, t, c]; scale, shift [n, 1, c] or [n, t, c].
 */
export function modulatedNorm(x: Tensor, scale: Tensor, shift: Tensor, eps = 1e-6): Tensor {
  if (hasKernels()) return fusedNorm(x, scale, shift, { eps, offset: 1 });
  return layerNorm(undefined, x, eps).mul(scale.add(1)).add(shift);
}

/**
 * Layer normalisation whose last l tokens are modulated, each by numbers of its own: normal(x) ∘ scale + shift. There is
 * no 1 + as in other adaLNs: MAETok's published decoder has none. x [n, t, c]; scale, shift [n, l, c].
 */
export function lastModulatedNorm(x: Tensor, scale: Tensor, shift: Tensor, eps = 1e-6): Tensor {
  const last = scale.shape[1]!;
  return hasKernels()
    ? fusedNorm(x, scale, shift, { eps, offset: 0, last })
    : modulateLast(layerNorm(undefined, x, eps), scale, shift);
}

const modulateLast = differentiable(
  (x, scale, shift) => {
    const [before, last] = splitLast(x, scale.shape[1]!);
    const output = tf.concat([before, last.mul<Tensor>(scale).add(shift)], 1);
    return [output, last, scale];
  },
  (dy, last, scale) => {
    const [before, dLast] = splitLast(dy, scale.shape[1]!);
    return [tf.concat([before, dLast.mul<Tensor>(scale)], 1), dLast.mul(last), dLast];
  },
);

/** x [n, t, c] → its first t − l and its last l tokens. */
export function splitLast(x: Tensor, l: number): [before: Tensor, last: Tensor] {
  return tf.split(x, [x.shape[1]! - l, l], 1) as [Tensor, Tensor];
}

/** The normalised x and the reciprocal standard deviations [..., 1]. */
function normalise(x: Tensor, eps: number): [normal: Tensor, scale: Tensor] {
  const rows = asRows(x);
  const centred = rows.sub(rows.mean(1, true));
  const scale = centred.square().mean(1, true).add(eps).rsqrt();
  return [asBefore(centred.mul(scale), x), asBefore(scale, x)];
}

/** Gradient with respect to the input of y = normal(x), from dy, y and the scale: (dy − ⟨dy⟩ − y⟨dy y⟩) / σ. */
function normGradient(dy: Tensor, normal: Tensor, scale: Tensor): Tensor {
  const projection = dy.mul(normal).mean(-1, true);
  return dy.sub(dy.mean(-1, true)).sub(normal.mul(projection)).mul(scale);
}

const bareNorm = memoised(eps =>
  differentiable(
    x => {
      const [normal, scale] = normalise(x, eps);
      return [normal, normal, scale];
    },
    (dy, normal, scale) => [normGradient(dy, normal, scale)],
  ),
);

const affineNorm = memoised(eps =>
  differentiable(
    (x, weight, bias) => {
      const [normal, scale] = normalise(x, eps);
      return [normal.mul(weight).add(bias), normal, scale, weight];
    },
    (dy, normal, scale, weight) => [
      normGradient(dy.mul(weight), normal, scale),
      columnSum(dy.mul(normal)),
      columnSum(dy),
    ],
  ),
);

/** One function per epsilon: a custom gradient is built once, not at each call. */
export function memoised<T>(make: (eps: number) => T): (eps: number) => T {
  const made = new Map<number, T>();
  return eps => {
    const known = made.get(eps) ?? make(eps);
    made.set(eps, known);
    return known;
  };
}

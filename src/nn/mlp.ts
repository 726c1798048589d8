import { hasKernels, matMul, tf, type Tensor } from '../engine/index.js';
import { gelu, silu, type Activation } from './activations.js';
import { differentiable } from './differentiable.js';
import { fusedMlp } from './fused.js';
import { linear, rowsTimes } from './layers.js';
import { under, type Params } from './params.js';
import { asBefore, asRows, layerOf } from './rows.js';

/**
 * Two linear layers `fc1`, `fc2` with an activation between (exact GELU unless told otherwise), as one function with
 * one gradient: of the wide hidden layer only the input of the activation is kept. x [..., c] → [..., c].
 */
export function mlp(params: Params, x: Tensor, activation: Activation = gelu): Tensor {
  const layers = hasKernels() ? fusedMlp(activation.kernel) : twoLayers(activation);
  return layers(x, ...layerOf(params, 'fc1'), ...layerOf(params, 'fc2'));
}

function twoLayers({ factor, value, valueAndSlope }: Activation): (...inputs: Tensor[]) => Tensor {
  const scaled = (w: Tensor): Tensor => (factor === 1 ? w : w.mul(factor));
  return differentiable(
    (x, w1, b1, w2, b2) => {
      const rows = asRows(x);
      const hidden = rowsTimes(rows, w1, b1);
      const output = rowsTimes(value(hidden), scaled(w2), b2);
      return [asBefore(output, x), rows, hidden, w1, w2];
    },
    (dy, x, hidden, w1, w2) => {
      const rows = asRows(dy);
      const [y, slope] = valueAndSlope(hidden);
      const dw2 = scaled(matMul(rows, y, { transposeA: true }));
      const dHidden = matMul(rows, scaled(w2)).mul<Tensor>(slope);
      const dw1 = matMul(dHidden, x, { transposeA: true });
      const dx = matMul(dHidden, w1).reshape([...dy.shape.slice(0, -1), w1.shape[1]!]);
      return [dx, dw1, dHidden.sum(0), dw2, rows.sum(0)];
    },
  );
}

/**
 * A gated layer (SwiGLU; Shazeer 2020) with the gate and the value in one product: `w12` [2h, c], `w3` [c, h]. The gate's
 * activation is SiLU unless told otherwise.
 */
export function swiGlu(params: Params, x: Tensor, activation: Activation = silu): Tensor {
  const both = linear(under(params, 'w12'), x);
  const [gate, value] = tf.split(both, 2, both.rank - 1);
  return linear(under(params, 'w3'), activation(gate).mul(value));
}

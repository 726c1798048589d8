import { tf, type Tensor } from '../engine/index.js';
import { gelu, silu } from './activations.js';
import { linear } from './layers.js';
import { under, type Params } from './params.js';

/** Two linear layers `fc1`, `fc2` with an activation between (exact GELU unless told otherwise). x [..., c] → [..., c]. */
export function mlp(params: Params, x: Tensor, activation: (x: Tensor) => Tensor = gelu): Tensor {
  return linear(under(params, 'fc2'), activation(linear(under(params, 'fc1'), x)));
}

/** SwiGLU (Shazeer 2020) with the gate and the value in one product: `w12` [2h, c], `w3` [c, h]. */
export function swiGlu(params: Params, x: Tensor): Tensor {
  const both = linear(under(params, 'w12'), x);
  const [gate, value] = tf.split(both, 2, both.rank - 1);
  return linear(under(params, 'w3'), silu(gate).mul(value));
}

import { tf, type Tensor } from '../engine/index.js';
import { differentiable } from './differentiable.js';

/*
 * Activations as custom gradients over few operations: the closed form of the derivative from the saved input, where
 * TensorFlow.js would keep and walk a chain of intermediates.
 */

const SQRT_HALF = Math.SQRT1_2;
const GAUSS = 1 / Math.sqrt(2 * Math.PI);

/** x Φ(x) with the exact normal distribution function (Hendrycks & Gimpel 2016). */
export function gelu(x: Tensor): Tensor {
  return exactGelu(x);
}

const exactGelu = differentiable(
  x => [x.mul(normalCdf(x)), x],
  (dy, x) => {
    const density = tf.exp(x.square().mul(-0.5)).mul(GAUSS);
    return [dy.mul(x.mul(density).add(normalCdf(x)))];
  },
);

/** Φ(x). */
const normalCdf = (x: Tensor): Tensor => tf.erf(x.mul(SQRT_HALF)).add(1).mul(0.5);

const TANH_SCALE = Math.sqrt(2 / Math.PI);
const TANH_CUBIC = 0.044715;

/** GELU in its tanh approximation, as SiT and DiT use it. */
export function geluTanh(x: Tensor): Tensor {
  return approximateGelu(x);
}

const approximateGelu = differentiable(
  x => {
    const squared = x.square();
    const t = tf.tanh(x.mul(squared.mul(TANH_SCALE * TANH_CUBIC).add(TANH_SCALE)));
    return [x.mul(t.add(1)).mul(0.5), x, t];
  },
  (dy, x, t) => {
    const inner = x
      .square()
      .mul(3 * TANH_SCALE * TANH_CUBIC)
      .add(TANH_SCALE);
    const slope = t.square().neg().add(1).mul(x).mul(inner);
    return [dy.mul(slope.add(t).add(1).mul(0.5))];
  },
);

/** x σ(x), also called swish. */
export function silu(x: Tensor): Tensor {
  return sigmoidWeighted(x);
}

const sigmoidWeighted = differentiable(
  x => {
    const gate = tf.sigmoid(x);
    return [x.mul(gate), x, gate];
  },
  (dy, x, gate) => [dy.mul(gate).mul(x.mul(gate.neg().add(1)).add(1))],
);

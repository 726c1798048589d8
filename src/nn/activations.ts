import { tf, type Tensor } from '../engine/index.js';

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

const exactGelu = tf.customGrad((x, save) => {
  const input = x as Tensor;
  (save as (saved: Tensor[]) => void)([input]);
  return {
    value: input.mul(normalCdf(input)),
    gradFunc: (dy: Tensor, saved: Tensor[]) => {
      const [u] = saved;
      const density = tf.exp(u.square().mul(-0.5)).mul(GAUSS);
      return dy.mul(u.mul(density).add(normalCdf(u)));
    },
  };
});

/** Φ(x). */
const normalCdf = (x: Tensor): Tensor => tf.erf(x.mul(SQRT_HALF)).add(1).mul(0.5);

const TANH_SCALE = Math.sqrt(2 / Math.PI);
const TANH_CUBIC = 0.044715;

/** GELU in its tanh approximation, as SiT and DiT use it. */
export function geluTanh(x: Tensor): Tensor {
  return approximateGelu(x);
}

const approximateGelu = tf.customGrad((x, save) => {
  const input = x as Tensor;
  const squared = input.square();
  const t = tf.tanh(input.mul(squared.mul(TANH_SCALE * TANH_CUBIC).add(TANH_SCALE)));
  (save as (saved: Tensor[]) => void)([input, t]);
  return {
    value: input.mul(t.add(1)).mul(0.5),
    gradFunc: (dy: Tensor, saved: Tensor[]) => {
      const [u, tanh] = saved;
      const inner = u
        .square()
        .mul(3 * TANH_SCALE * TANH_CUBIC)
        .add(TANH_SCALE);
      const slope = tanh.square().neg().add(1).mul(u).mul(inner);
      return dy.mul(slope.add(tanh).add(1).mul(0.5));
    },
  };
});

/** x σ(x), also called swish. */
export function silu(x: Tensor): Tensor {
  return sigmoidWeighted(x);
}

const sigmoidWeighted = tf.customGrad((x, save) => {
  const input = x as Tensor;
  const gate = tf.sigmoid(input);
  (save as (saved: Tensor[]) => void)([input, gate]);
  return {
    value: input.mul(gate),
    gradFunc: (dy: Tensor, saved: Tensor[]) => {
      const [u, sigma] = saved;
      return dy.mul(sigma).mul(u.mul(sigma.neg().add(1)).add(1));
    },
  };
});

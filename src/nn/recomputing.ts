import { tf, valueAndGradients, type Tensor } from '../engine/index.js';
import { differentiable } from './differentiable.js';

/**
 * `value` with the gradients of `composed`, the same function made of operations that have gradients. Only the inputs are
 * kept for the backward pass, which computes `composed` under a tape of its own.
 */
export function recomputing(
  value: (...inputs: Tensor[]) => Tensor,
  composed: (...inputs: Tensor[]) => Tensor = value,
): (...inputs: Tensor[]) => Tensor {
  return differentiable(
    (...inputs) => [tf.tidy(() => value(...inputs)), ...inputs],
    (dy, ...inputs) => {
      const { value: again, gradients } = valueAndGradients(() => composed(...inputs), inputs, { dy });
      again.dispose();
      return gradients.map((gradient, i) => gradient ?? tf.zerosLike(inputs[i]));
    },
  );
}

import { tf, type Tensor } from '../engine/index.js';

/**
 * A function of tensors with its gradient in closed form. `forward` gives the value and what the gradient needs,
 * `gradient` one tensor per input from dy and those. Both are tidied: TensorFlow.js would keep every intermediate of a
 * custom gradient until the whole backward pass is over.
 */
export function differentiable(
  forward: (...inputs: Tensor[]) => [value: Tensor, ...saved: Tensor[]],
  gradient: (dy: Tensor, ...saved: Tensor[]) => Tensor[],
): (...inputs: Tensor[]) => Tensor {
  return tf.customGrad<Tensor>((...args) => {
    const save = args.pop() as unknown as (saved: Tensor[]) => void;
    const [value, ...saved] = forward(...(args as Tensor[]));
    save(saved);
    return {
      value,
      gradFunc: (dy: Tensor, kept: Tensor[]) => tf.tidy(() => gradient(dy, ...kept)),
    };
  });
}

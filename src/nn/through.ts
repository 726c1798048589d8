import { tf, type Tensor } from '../engine/index.js';

/**
 * x through steps one after the other. What a step makes is freed as soon as the next one has it, so that a forward pass
 * holds one step; a tape keeps what its gradients need by itself. The caller owns the result.
 */
export function through(x: Tensor, steps: ((x: Tensor) => Tensor)[]): Tensor {
  let current = x;
  for (const step of steps) {
    const next = tf.tidy(() => step(current));
    if (current !== x && current !== next) current.dispose();
    current = next;
  }
  return current;
}

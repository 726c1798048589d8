import { tf, type Tensor } from '../engine/index.js';
import type { HostArray } from './params.js';

/** An array as a float32 tensor. */
export function tensorOf({ shape, data }: HostArray): Tensor {
  return tf.tensor(data instanceof Float32Array ? data : Float32Array.from(data as ArrayLike<number>, Number), shape);
}

/** PyTorch's [n, c, h, w] → [n, h, w, c]. */
export const channelsLast = (x: Tensor): Tensor => tf.transpose(x, [0, 2, 3, 1]);

/** [n, h, w, c] → PyTorch's [n, c, h, w]. */
export const channelsFirst = (x: Tensor): Tensor => tf.transpose(x, [0, 3, 1, 2]);
